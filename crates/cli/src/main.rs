//! The program; everything is in the library.
#![forbid(unsafe_code)]

/// Keeps freed memory for the next large vector: the system's allocator gives it back, and every page
/// of it has to be faulted in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    zerotell::main()
}
