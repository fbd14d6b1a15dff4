//! How a page calls this: plain functions over its memory, no generated glue.
//!
//! The page asks for memory by `alloc`, writes its bytes there, calls a check, reads the answer, and gives everything
//! back by `free`. An answer is a u32 length, little endian, and as many bytes of JSON; to free it, add the 4 bytes.
//!
//! Safety: this file is the only one here with `unsafe` code, because a raw pointer is all that a page can hand over.
//! The contract is the caller's: every pointer and length it passes are those of a block that `alloc` gave, still not
//! freed. The caller is `worker.js`, twenty lines long. In a page the memory is the module's own, bounded by the browser:
//! a caller that breaks the contract breaks its own answers and nothing else.
#![expect(unsafe_code, reason = "the boundary to the page; see above")]

use core::slice;

use record::json::Json;

use crate::{check_certificate, check_proof, read_checkpoint};

/// Largest block: the largest proof that the ledger takes, and room for what lies around it.
const BLOCK_MAX: usize = (1 << 26) + (1 << 22);

/// A block of zeros; null when it is empty or too large.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub extern "C" fn alloc(bytes: usize) -> *mut u8 {
    if bytes == 0 || bytes > BLOCK_MAX {
        return core::ptr::null_mut();
    }
    Box::into_raw(vec![0u8; bytes].into_boxed_slice()).cast()
}

/// Gives a block back.
///
/// # Safety
/// `block` and `bytes` are those of a block of `alloc` or of an answer, and it is given back once.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub unsafe extern "C" fn free(block: *mut u8, bytes: usize) {
    if !block.is_null() {
        // SAFETY: by the contract this is the block that `Box::into_raw` gave, with its length.
        drop(unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(block, bytes)) });
    }
}

/// [`check_certificate`]; `now` of 0 stands for no clock.
///
/// # Safety
/// Each pointer and length are those of a block of `alloc`, or null and 0.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub unsafe extern "C" fn certificate(
    file: *const u8,
    file_bytes: usize,
    trusted: *const u8,
    trusted_bytes: usize,
    now: u64,
) -> *mut u8 {
    // SAFETY: the contract is passed on.
    let (file, trusted) = unsafe { (block(file, file_bytes), block(trusted, trusted_bytes)) };
    answer(&check_certificate(file, trusted, (now != 0).then_some(now)))
}

/// [`check_proof`].
///
/// # Safety
/// As for [`certificate`].
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub unsafe extern "C" fn proof(
    dossier: *const u8,
    dossier_bytes: usize,
    certificate: *const u8,
    certificate_bytes: usize,
) -> *mut u8 {
    // SAFETY: the contract is passed on.
    let (dossier, certificate) =
        unsafe { (block(dossier, dossier_bytes), block(certificate, certificate_bytes)) };
    answer(&check_proof(dossier, certificate))
}

/// [`read_checkpoint`].
///
/// # Safety
/// As for [`certificate`].
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
pub unsafe extern "C" fn checkpoint(bytes: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the contract is passed on.
    answer(&read_checkpoint(unsafe { block(bytes, count) }))
}

/// The bytes of a block for the time of a call.
///
/// # Safety
/// As for [`certificate`].
unsafe fn block<'a>(start: *const u8, bytes: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by the contract the block is there, was written when it was made, and is not freed during the call.
    unsafe { slice::from_raw_parts(start, bytes) }
}

fn answer(json: &Json) -> *mut u8 {
    let text = json.canonical();
    let length = u32::try_from(text.len()).unwrap_or(0).to_le_bytes();
    Box::into_raw([length.as_slice(), &text].concat().into_boxed_slice()).cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way of a page: ask, write, call, read, give back.
    #[test]
    fn a_call_over_the_boundary_is_the_plain_call() {
        let given = [7u8; 104];
        let start = alloc(given.len());
        // SAFETY: the block is as long as what is written; the answer is read before it is freed.
        let text = unsafe {
            start.copy_from_nonoverlapping(given.as_ptr(), given.len());
            let out = checkpoint(start, given.len());
            let length = u32::from_le_bytes(*out.cast::<[u8; 4]>()) as usize;
            let text = slice::from_raw_parts(out.add(4), length).to_vec();
            free(out, length + 4);
            free(start, given.len());
            text
        };
        assert_eq!(text, read_checkpoint(&given).canonical());
    }

    #[test]
    fn blocks_are_bounded() {
        assert!(alloc(0).is_null() && alloc(BLOCK_MAX + 1).is_null() && alloc(usize::MAX).is_null());
        // SAFETY: null stands for an empty block.
        let out = unsafe { certificate(core::ptr::null(), 0, core::ptr::null(), 0, 0) };
        assert!(!out.is_null());
    }
}
