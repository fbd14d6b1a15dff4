#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zerotell_fuzz::dossier_judge(bytes));
