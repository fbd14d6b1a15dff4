#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zerotell_fuzz::tensor_parse(bytes));
