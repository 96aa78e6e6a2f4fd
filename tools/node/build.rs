//! Has the linker keep the library loaded once Node has loaded it: its threads may outlive a worker.

fn main() {
    napi_build::setup();
}
