//! ECDSA on P-256 with SHA-256: FIPS 186-5, section 6.4.2.
//!
//! [`plain`] defines it. Where the feature `aws-lc` is on and the machine is one that AWS-LC has assembler for, its code is
//! asked instead, three times as fast; both say the same of every signature, which a test compares.

use p256::ecdsa::{Signature, VerifyingKey};

/// Whether this is the key's signature of the message.
pub fn verifies(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
    #[cfg(all(feature = "aws-lc", any(target_arch = "x86_64", target_arch = "aarch64")))]
    return fast(key, message, signature);
    #[cfg(not(all(feature = "aws-lc", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    plain(key, message, signature)
}

#[cfg(any(test, not(all(feature = "aws-lc", any(target_arch = "x86_64", target_arch = "aarch64")))))]
fn plain(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
    p256::ecdsa::signature::Verifier::verify(key, message, signature).is_ok()
}

#[cfg(all(feature = "aws-lc", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn fast(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.to_sec1_point(false));
    key.verify(message, &signature.to_bytes()).is_ok()
}

#[cfg(all(test, feature = "aws-lc", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use p256::ecdsa::SigningKey;
    use p256::elliptic_curve::ff::PrimeField as _;
    use p256::elliptic_curve::ops::Reduce as _;
    use p256::elliptic_curve::point::{AffineCoordinates as _, DecompressPoint as _};
    use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// Both must say the same; gives what they say.
    fn both(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
        let said = plain(key, message, signature);
        assert_eq!(said, fast(key, message, signature));
        assert_eq!(said, verifies(key, message, signature));
        said
    }

    fn hashed(message: &[u8]) -> Scalar {
        Scalar::reduce(&FieldBytes::from(<[u8; 32]>::from(Sha256::digest(message))))
    }

    fn key(point: ProjectivePoint) -> VerifyingKey {
        VerifyingKey::from_affine(point.to_affine()).unwrap()
    }

    fn signature(r: Scalar, s: Scalar) -> Signature {
        Signature::from_scalars(r, s).unwrap()
    }

    #[test]
    fn signatures_and_what_is_none() {
        for seed in 1..40_u8 {
            let secret = SigningKey::from_slice(&[seed; 32]).unwrap();
            let message = vec![seed; usize::from(seed)];
            let good: Signature = p256::ecdsa::signature::Signer::sign(&secret, &message);
            let public = secret.verifying_key();
            assert!(both(public, &message, &good));
            assert!(!both(public, &message[1..], &good));
            let (r, s) = good.split_scalars();
            assert!(both(public, &message, &signature(*r, -*s)), "the algorithm takes both values of s");
            assert!(!both(public, &message, &signature(*s, *r)));
            assert!(!both(public, &message, &signature(-*r, *s)));
            let other = SigningKey::from_slice(&[seed + 1; 32]).unwrap();
            assert!(!both(other.verifying_key(), &message, &good));
            let mut bytes = good.to_bytes();
            bytes[usize::from(seed)] ^= 1 << (seed % 8);
            assert!(!both(public, &message, &Signature::from_slice(&bytes).unwrap()));
        }
    }

    #[test]
    fn values_at_the_ends_of_the_range() {
        let secret = SigningKey::from_slice(&[7; 32]).unwrap();
        let ends = [Scalar::ONE, Scalar::ONE.double(), -Scalar::ONE, -Scalar::ONE.double()];
        for r in ends {
            for s in ends {
                assert!(!both(secret.verifying_key(), b"x", &signature(r, s)));
            }
        }
    }

    /// The x of R, a number below p, may be n or more: r is what is left of it.
    #[test]
    fn a_point_whose_x_is_above_the_order() {
        // The order n, as bytes.
        let order = {
            let mut bytes = (-Scalar::ONE).to_repr();
            bytes[31] += 1;
            bytes
        };
        let mut found = 0;
        for small in 1..60_u8 {
            let mut x = order;
            let (last, carry) = x[31].overflowing_add(small);
            (x[31], x[30]) = (last, x[30] + u8::from(carry));
            let Some(point) = Option::<AffinePoint>::from(AffinePoint::decompress(&x, 0.into())) else {
                continue;
            };
            let r = Scalar::from(u64::from(small));
            assert_ne!(point.x(), r.to_repr());
            let s = Scalar::from(1_234_567_u64);
            // The key for which e/s G + r/s Q is this point.
            let q = (ProjectivePoint::from(point) * s - ProjectivePoint::GENERATOR * hashed(b"x"))
                * r.invert().unwrap();
            assert!(both(&key(q), b"x", &signature(r, s)));
            assert!(!both(&key(q), b"y", &signature(r, s)));
            found += 1;
        }
        assert!(found > 10);
    }

    #[test]
    fn sums_that_are_nothing_and_sums_of_equals() {
        let e = hashed(b"x");
        let r = Scalar::from(99_u64);
        // The two products cancel.
        let q = ProjectivePoint::GENERATOR * -(e * r.invert().unwrap());
        assert!(!both(&key(q), b"x", &signature(r, Scalar::from(5_u64))));
        // The two products are the same point, and the signature is good.
        let k = Scalar::from(77_u64);
        let point = (ProjectivePoint::GENERATOR * k).to_affine();
        let r = Scalar::reduce(&point.x());
        let q = ProjectivePoint::GENERATOR * (e * r.invert().unwrap());
        let s = e.double() * k.invert().unwrap();
        assert!(both(&key(q), b"x", &signature(r, s)));
    }
}
