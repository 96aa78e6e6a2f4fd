//! A network of two hosts in namespaces of their own, with a cable between them that can be pulled.

use std::error::Error;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use visavis_weather::{Conditions, Schedule};

use crate::long_cable::LongCable;

/// Where the server is.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
/// Where the viewer is first, and where it may move to.
const VIEWER: [&str; 2] = ["10.98.0.2", "10.98.0.3"];

/// A hardware address that no host has.
const NOWHERE: &str = "02:00:00:00:00:99";

/// The two hosts; gone when dropped.
#[derive(Debug)]
pub struct Network {
    server: String,
    viewer: String,
    /// Where the cable is a long one.
    cable: Option<LongCable>,
}

impl Network {
    /// Makes them, or returns `None` where only root may and this is not root. In CI that is an error.
    ///
    /// # Errors
    ///
    /// When `ip` (Debian's `iproute2`) is missing or the kernel has no network namespaces.
    pub fn make() -> Result<Option<Self>, Box<dyn Error>> {
        if !rustix::process::geteuid().is_root() && std::env::var_os("CI").is_none() {
            return Ok(None);
        }
        let network = Self::of_hosts()?;
        let (server, viewer) = (&network.server, &network.viewer);
        ip(&format!("-n {server} link add cable type veth peer name cable netns {viewer}"))?;
        network.connect()?;
        Ok(Some(network))
    }

    /// The same, with a cable that does to packets what conditions say: from the viewer to the server, and the other way.
    /// Whatever they are of: TCP too.
    ///
    /// # Errors
    ///
    /// As [`make`](Self::make), or when the system gives no TUN devices.
    pub fn make_long(
        up: Conditions,
        down: impl Into<Schedule>,
        seed: u64,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        if !rustix::process::geteuid().is_root() && std::env::var_os("CI").is_none() {
            return Ok(None);
        }
        let mut network = Self::of_hosts()?;
        let end = || Ok(LongCable::end()?);
        let ends = [network.on_viewer(end)?, network.on_server(end)?];
        network.connect()?;
        network.cable = Some(LongCable::lay(ends, [up.into(), down.into()], seed)?);
        Ok(Some(network))
    }

    /// Two hosts, each for itself.
    fn of_hosts() -> Result<Self, Box<dyn Error>> {
        // Short enough for the name of an interface, and unique.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vv{}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let [server, viewer] = ["s", "v"].map(|host| format!("{name}-{host}"));
        ip(&format!("netns add {server}"))?;
        ip(&format!("netns add {viewer}"))?;
        Ok(Self { server, viewer, cable: None })
    }

    /// Gives them their addresses, by cable.
    fn connect(&self) -> Result<(), Box<dyn Error>> {
        let Self { server, viewer, .. } = self;
        for (host, address) in [(server, SERVER.to_string()), (viewer, VIEWER[0].to_owned())] {
            ip(&format!("-n {host} link set lo up"))?;
            // An IPv6 address comes to life a second or two after its cable. To a browser that is another
            // network: it gives up what it was loading.
            ip(&format!("-n {host} link set cable addrgenmode none"))?;
            ip(&format!("-n {host} addr add {address}/24 dev cable"))?;
            ip(&format!("-n {host} link set cable up"))?;
        }
        // Browsers ask the system by which way they would reach the world.
        ip(&format!("-n {viewer} route add default via {SERVER}"))
    }

    /// Other conditions from the server to the viewer, from now on, on a long cable.
    pub fn set_down(&self, schedule: impl Into<Schedule>) {
        if let Some(cable) = &self.cable {
            cable.set_down(schedule.into());
        }
    }

    /// Runs something on the server's host: what it starts, and sockets that it opens, stay there.
    ///
    /// # Errors
    ///
    /// When the host cannot be entered, or what `action` returns.
    pub fn on_server<T: Send>(
        &self,
        action: impl FnOnce() -> Result<T, Box<dyn Error>> + Send,
    ) -> Result<T, Box<dyn Error>> {
        inside(&self.server, action)
    }

    /// Runs something on the viewer's host.
    ///
    /// # Errors
    ///
    /// As [`on_server`](Self::on_server).
    pub fn on_viewer<T: Send>(
        &self,
        action: impl FnOnce() -> Result<T, Box<dyn Error>> + Send,
    ) -> Result<T, Box<dyn Error>> {
        inside(&self.viewer, action)
    }

    /// Packets are lost without an error at either host.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn lose_everything(&self) -> Result<(), Box<dyn Error>> {
        let Self { server, viewer, .. } = self;
        ip(&format!(
            "-n {viewer} neigh replace {SERVER} lladdr {NOWHERE} dev cable nud permanent"
        ))?;
        for address in VIEWER {
            ip(&format!(
                "-n {server} neigh replace {address} lladdr {NOWHERE} dev cable nud permanent"
            ))?;
        }
        Ok(())
    }

    /// After [`lose_everything`](Self::lose_everything): all is well again.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn lose_nothing(&self) -> Result<(), Box<dyn Error>> {
        let Self { server, viewer, .. } = self;
        ip(&format!("-n {viewer} neigh del {SERVER} dev cable"))?;
        VIEWER
            .iter()
            .try_for_each(|address| ip(&format!("-n {server} neigh del {address} dev cable")))
    }

    /// From now on the server's host gets no UDP from the viewer's.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn block_udp(&self) -> Result<(), Box<dyn Error>> {
        let server = &self.server;
        // Before the table of the host's own addresses, which is asked first otherwise.
        ip(&format!("-n {server} rule add pref 10 table local"))?;
        ip(&format!("-n {server} rule del pref 0"))?;
        ip(&format!("-n {server} rule add pref 1 iif cable ipproto udp blackhole"))
    }

    /// From now on the server's host gets no TCP and no UDP from the viewer's but what goes to one TCP port.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn allow_only_tcp(&self, port: u16) -> Result<(), Box<dyn Error>> {
        let server = &self.server;
        ip(&format!("-n {server} rule add pref 10 table local"))?;
        ip(&format!("-n {server} rule del pref 0"))?;
        ip(&format!("-n {server} rule add pref 1 iif cable ipproto tcp dport {port} table local"))?;
        ip(&format!("-n {server} rule add pref 2 iif cable ipproto tcp blackhole"))?;
        ip(&format!("-n {server} rule add pref 3 iif cable ipproto udp blackhole"))
    }

    /// Pulls the cable, which both hosts notice.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn pull_cable(&self) -> Result<(), Box<dyn Error>> {
        ip(&format!("-n {} link set cable down", self.server))
    }

    /// Plugs it in again.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn plug_cable(&self) -> Result<(), Box<dyn Error>> {
        ip(&format!("-n {} link set cable up", self.server))
    }

    /// The viewer gets another address and loses the one it had, as when it changes networks.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn move_viewer(&self) -> Result<(), Box<dyn Error>> {
        let viewer = &self.viewer;
        let [old, new] = VIEWER;
        ip(&format!("-n {viewer} addr del {old}/24 dev cable"))?;
        ip(&format!("-n {viewer} addr add {new}/24 dev cable"))?;
        ip(&format!("-n {viewer} route add default via {SERVER}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in [&self.server, &self.viewer] {
            let _ = ip(&format!("netns del {host}"));
        }
    }
}

/// A namespace belongs to a thread: what the thread starts inherits it.
fn inside<T: Send>(
    host: &str,
    action: impl FnOnce() -> Result<T, Box<dyn Error>> + Send,
) -> Result<T, Box<dyn Error>> {
    let namespace = File::open(format!("/run/netns/{host}"))?;
    let outcome = thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|error| format!("cannot enter {host}: {error}"))?;
            action().map_err(|error| error.to_string())
        });
        inside.join()
    });
    match outcome {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn ip(arguments: &str) -> Result<(), Box<dyn Error>> {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
