//! Each call fails, and what is missing is named.

use visavis_nvenc::{ApiVersion, Libraries, NvencConfig, NvencError, NvencMaker};
use visavis_types::VideoCodec;
use visavis_types::encoder::{EncoderMaker, FrameControl, Picture};

use crate::driver::Driver;
use crate::{Viewer, config, control, picture, size};

const GENERIC: u32 = 20;
const OUT_OF_MEMORY: u32 = 10;
const CUDA_OUT_OF_MEMORY: u32 = 2;

#[test]
fn each_thing_that_may_be_missing_is_named() {
    let gpu = || "stand-in 0".to_owned();
    let opened = |prepare: fn(&Driver)| {
        let driver = Driver::new();
        prepare(&driver);
        let error = driver.maker().unwrap_err();
        driver.assert_clean();
        error
    };
    let missing = Libraries::new("libcuda-missing.so.1", "libnvidia-encode.so.1");
    let error = NvencMaker::open(NvencConfig::default().libraries(missing)).unwrap_err();
    assert!(
        matches!(&error, NvencError::MissingLibrary { library, .. } if library == "libcuda-missing.so.1")
    );

    let found = ApiVersion { major: 12, minor: 0 };
    let error = opened(|driver| driver.set("version", 12 * 16));
    assert!(matches!(error, NvencError::OldDriver { found: old, .. } if old == found), "{error}");
    // It says that it has the version, and has not.
    let error = opened(|driver| driver.fail("NvEncodeAPICreateInstance", 0, 1, 15));
    assert!(matches!(error, NvencError::OldDriver { .. }), "{error}");
    assert_eq!(opened(|driver| driver.set("devices", 0)), NvencError::NoDevice);
    let none = NvencError::NoEncoder { gpu: gpu() };
    // As A100 and H100 answer, and as a GPU that has encoders for other codecs.
    assert_eq!(opened(|driver| driver.set("encoder", 0)), none);
    assert_eq!(opened(|driver| driver.fail("nvEncOpenEncodeSessionEx", 0, 1, 1)), none);
    assert_eq!(opened(|driver| driver.set("h264", 0)), none);
    let full = NvencError::NoSession { gpu: gpu() };
    assert_eq!(opened(|driver| driver.set("sessions_max", 0)), full);
    assert_eq!(opened(|driver| driver.fail("nvEncOpenEncodeSessionEx", 0, 1, 21)), full);
    let error = opened(|driver| driver.set("lost", 1));
    assert!(matches!(error, NvencError::Lost { code: 5, .. }), "{error}");
    // A number that no header of ours has.
    let error = opened(|driver| driver.fail("cuInit", 0, 1, 804));
    assert_eq!(error, NvencError::Cuda { operation: "start", code: 804 });
}

#[test]
fn newer_drivers_do() {
    for version in [12 * 16 + 1, 12 * 16 + 2, 13 * 16, 13 * 16 + 1] {
        let driver = Driver::new();
        driver.set("version", version);
        drop(driver.maker().unwrap());
        driver.assert_clean();
    }
}

/// The functions that opening a maker, making an encoder and encoding of host and device memory call.
const FUNCTIONS: [(&str, u32); 34] = [
    ("cuInit", CUDA_OUT_OF_MEMORY),
    ("cuDeviceGetCount", CUDA_OUT_OF_MEMORY),
    ("cuDeviceGet", CUDA_OUT_OF_MEMORY),
    ("cuDeviceGetName", CUDA_OUT_OF_MEMORY),
    ("cuDevicePrimaryCtxRetain", CUDA_OUT_OF_MEMORY),
    ("cuCtxPushCurrent_v2", CUDA_OUT_OF_MEMORY),
    ("cuMemAllocPitch_v2", CUDA_OUT_OF_MEMORY),
    ("cuMemcpy2D_v2", CUDA_OUT_OF_MEMORY),
    ("NvEncodeAPIGetMaxSupportedVersion", GENERIC),
    ("NvEncodeAPICreateInstance", GENERIC),
    ("nvEncOpenEncodeSessionEx", OUT_OF_MEMORY),
    ("nvEncGetEncodeGUIDCount", GENERIC),
    ("nvEncGetEncodeGUIDs", GENERIC),
    ("nvEncGetEncodeCaps", GENERIC),
    ("nvEncGetEncodePresetConfigEx", GENERIC),
    ("nvEncInitializeEncoder", GENERIC),
    ("nvEncReconfigureEncoder", GENERIC),
    ("nvEncInvalidateRefFrames", GENERIC),
    ("nvEncCreateInputBuffer", GENERIC),
    ("nvEncDestroyInputBuffer", GENERIC),
    ("nvEncCreateBitstreamBuffer", GENERIC),
    ("nvEncDestroyBitstreamBuffer", GENERIC),
    ("nvEncLockInputBuffer", GENERIC),
    ("nvEncUnlockInputBuffer", GENERIC),
    ("nvEncRegisterResource", GENERIC),
    ("nvEncUnregisterResource", GENERIC),
    ("nvEncMapInputResource", GENERIC),
    ("nvEncUnmapInputResource", GENERIC),
    ("nvEncEncodePicture", GENERIC),
    ("nvEncLockBitstream", GENERIC),
    ("nvEncUnlockBitstream", GENERIC),
    ("nvEncDestroyEncoder", GENERIC),
    // The GPU is gone, at these.
    ("nvEncLockBitstream", 5),
    ("nvEncEncodePicture", 4),
];

/// Opens, encodes, changes and recovers, until something fails.
fn work(driver: &Driver) -> Result<(), Box<dyn std::error::Error>> {
    let maker = driver.maker()?;
    let size = size(320, 240);
    let mut encoder = maker.encoder(&config(size).references(2))?;
    let mut viewer = Viewer::new();
    for n in 0..8 {
        let source = picture(size, n);
        let uploaded;
        let picture: Picture<'_> = match n % 2 {
            0 => (&source).into(),
            _ => {
                uploaded = maker.upload(&(&source).into())?;
                Picture::Device(&uploaded)
            }
        };
        encoder.set_bitrate(visavis_types::Bitrate::from_kbps(500 + 10 * n as u64));
        let mut out = vec![9];
        let control: FrameControl = control(n).recover(n == 6);
        let encoded = match encoder.encode(&picture, &control, &mut out) {
            Ok(encoded) => encoded,
            Err(error) => {
                assert_eq!(out, [9], "something is left of a picture that failed");
                return Err(error.into());
            }
        };
        if let Some(reference) = encoded.reference {
            encoder.reference_received(reference)?;
        }
        viewer.see(&out[1..], n, &source);
    }
    Ok(())
}

#[test]
fn each_call_may_fail_at_each_of_its_turns_and_nothing_is_left() {
    for (function, status) in FUNCTIONS {
        let mut failed = 0;
        for skip in 0..6 {
            let driver = Driver::new();
            driver.fail(function, skip, 1, status);
            match work(&driver) {
                Ok(()) => {}
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    failed += 1;
                }
            }
            driver.assert_clean();
            // And afterwards it works again.
            driver.fail(function, 0, 0, 0);
            work(&driver).unwrap_or_else(|error| panic!("after {function}: {error}"));
            driver.assert_clean();
        }
        // What only frees, or has another way round, is no reason to fail.
        let may_pass = function.contains("Destroy")
            || function.contains("Unregister")
            || function.contains("Unmap")
            || function == "nvEncInvalidateRefFrames";
        assert_eq!(failed > 0, !may_pass, "{function}");
    }
}

#[test]
fn a_gpu_that_is_lost_fails_at_once_and_its_successor_too() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    let mut encoder = maker.encoder(&config(size)).unwrap();
    let source = picture(size, 0);
    encoder.encode(&(&source).into(), &control(0), &mut Vec::new()).unwrap();
    driver.set("lost", 1);
    let error = encoder.encode(&(&source).into(), &control(1), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("was lost"), "{error}");
    drop(encoder);
    assert!(matches!(maker.encoder(&config(size)), Err(NvencError::Lost { code: 5, .. })));
    driver.set("lost", 0);
    drop(maker.encoder(&config(size)).unwrap());
    drop(maker);
    driver.assert_clean();
}

#[test]
fn a_gpu_whose_encoders_fail_again_and_again_is_left_alone() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    driver.fail("nvEncEncodePicture", 0, 100, GENERIC);
    for _ in 0..2 {
        let mut encoder = maker.encoder(&config(size)).unwrap();
        encoder.encode(&(&picture(size, 0)).into(), &control(0), &mut Vec::new()).unwrap_err();
    }
    let error = maker.encoder(&config(size)).err().unwrap();
    assert!(matches!(error, NvencError::Resting { seconds: 59..=60, .. }), "{error}");
    assert!(maker.make(VideoCodec::H264, &config(size)).is_err());
    drop(maker);
    driver.assert_clean();
}

#[test]
fn the_driver_says_what_is_amiss_and_is_quoted() {
    let driver = Driver::new();
    driver.set("min_height", 400);
    let maker = driver.maker().unwrap();
    // Past what is offered, which the list of encoders would have seen to.
    let error = maker.encoder(&config(size(320, 240))).err().unwrap();
    let expected = "NVENC failed to set up an encoder: invalid parameter (code 8): \
                    nvEncInitializeEncoder: a height out of range";
    assert_eq!(error.to_string(), expected);
    assert_eq!(driver.violations(), ["nvEncInitializeEncoder: a height out of range"]);
}
