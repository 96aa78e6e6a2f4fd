//! The certificate, read again when its files change.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{SignalingError, TlsError, TlsFileError, TlsFiles};

/// How often the files are checked. `SIGHUP` has them read at once.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Gives each handshake the certificate there is now.
#[derive(Debug)]
pub(super) struct Current(ArcSwap<CertifiedKey>);

impl Current {
    pub(super) fn read(
        files: &TlsFiles,
        provider: &CryptoProvider,
    ) -> Result<Arc<Self>, SignalingError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(read(files, provider)?))))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, SignalingError> {
    let broken = |path: &Path, reason| SignalingError::TlsFile { path: path.to_owned(), reason };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| broken(&files.cert, reason(error)))?;
    if chain.is_empty() {
        return Err(broken(&files.cert, TlsFileError::Empty));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| broken(&files.key, reason(error)))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch.into(),
        error => {
            tracing::error!(%error, "TLS cannot use the certificate or its key");
            TlsError::Unusable.into()
        }
    })
}

fn reason(error: pem::Error) -> TlsFileError {
    match error {
        pem::Error::Io(error) => TlsFileError::Io(error),
        pem::Error::NoItemsFound => TlsFileError::Empty,
        _ => TlsFileError::Pem,
    }
}

/// Watches the files on its own thread, as the file system may be slow. Dropping it ends the thread.
///
/// It polls instead of using inotify: certbot and Kubernetes replace symbolic links, for which events come in the folder
/// of the link, and on some file systems there are no events at all.
#[derive(Debug)]
pub(crate) struct Watch {
    wake: Sender<()>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(
        files: TlsFiles,
        current: Arc<Current>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, SignalingError> {
        let (wake, woken) = bounded(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watch = move || watch(&files, &current, &provider, &woken, &stopped);
        let thread = thread::Builder::new().name("visavis-certs".to_owned()).spawn(watch)?;
        Ok(Self { wake, stop, thread: Some(thread) })
    }

    /// Has the files read again soon, changed or not.
    pub(crate) fn reloader(&self) -> impl Fn() + Send + Sync + use<> {
        let wake = self.wake.clone();
        move || {
            // One that waits already will do.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches the certificate panicked");
        }
    }
}

/// Identifies a state of the files.
fn stamps(files: &TlsFiles) -> [Option<(SystemTime, u64)>; 2] {
    [&files.cert, &files.key].map(|path| {
        let about = fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    })
}

fn watch(
    files: &TlsFiles,
    current: &Current,
    provider: &CryptoProvider,
    woken: &Receiver<()>,
    stop: &AtomicBool,
) {
    let mut said = String::new();
    // They may have changed since they were read for the first time.
    let mut seen = [None, None];
    let mut broken = false;
    loop {
        let asked = match woken.recv_timeout(CHECK_INTERVAL) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if stop.load(Ordering::Acquire) {
            return;
        }
        let now = stamps(files);
        // What could not be used is tried again: a file may have been caught while it was being written.
        if !asked && !broken && now == seen {
            continue;
        }
        seen = now;
        match read(files, provider) {
            Ok(new) => {
                broken = false;
                said.clear();
                if new.cert != current.0.load().cert {
                    current.0.store(Arc::new(new));
                    tracing::info!(cert = %files.cert.display(), "a new certificate is in use");
                } else if asked {
                    tracing::info!("the certificate is the same as before");
                }
            }
            Err(error) => {
                broken = true;
                let error = error.to_string();
                if error != said || asked {
                    tracing::error!(
                        error,
                        "the new certificate cannot be used; the one before stays"
                    );
                    said = error;
                }
            }
        }
    }
}
