//! Just enough of the ZIP format for `.npz`: stored and deflated members, sizes bounded.
//!
//! Only the central directory is trusted for sizes; each member's header is read for the place of
//! its bytes. Checksums are compared.

use record::archive::crc32;

/// Most members of an archive.
const MEMBERS: usize = 1024;

fn number(bytes: &[u8], at: usize, count: usize) -> Option<usize> {
    let part = bytes.get(at..at.checked_add(count)?)?;
    Some(part.iter().rev().fold(0usize, |n, &b| (n << 8) | usize::from(b)))
}

/// Where the central directory starts, and how many entries it has.
fn directory(bytes: &[u8]) -> Option<(usize, usize)> {
    let last = bytes.len().checked_sub(22)?;
    let first = last.saturating_sub(1 << 16);
    let at = (first..=last).rev().find(|&at| bytes[at..].starts_with(b"PK\x05\x06"))?;
    Some((number(bytes, at + 16, 4)?, number(bytes, at + 10, 2)?))
}

/// Names and contents, in the order of the directory. `limit` bounds all contents together.
pub fn members(bytes: &[u8], limit: usize) -> Result<Vec<(String, Vec<u8>)>, String> {
    let (mut at, count) = directory(bytes).ok_or("no ZIP directory; the archive is damaged or cut short")?;
    if count > MEMBERS {
        return Err(format!("{count} members, at most {MEMBERS} are read"));
    }
    let mut left = limit;
    let mut all = Vec::new();
    for i in 0..count {
        let (name, content, next) = member(bytes, at, left).map_err(|why| format!("member {i}: {why}"))?;
        left -= content.len();
        at = next;
        all.push((name, content));
    }
    Ok(all)
}

fn member(bytes: &[u8], at: usize, limit: usize) -> Result<(String, Vec<u8>, usize), String> {
    let cut = "the directory is cut short";
    let field = |off: usize, count: usize| number(bytes, at + off, count).ok_or(cut);
    if bytes.get(at..at + 4) != Some(b"PK\x01\x02") {
        return Err("the directory is damaged".into());
    }
    let (flags, method, checksum) = (field(8, 2)?, field(10, 2)?, field(16, 4)?);
    let (packed, size, header) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
    let (name, extra, comment) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
    let text = bytes.get(at + 46..at + 46 + name).ok_or(cut)?;
    let text = String::from_utf8_lossy(text).into_owned();
    if flags & 1 != 0 {
        return Err(format!("`{text}` is encrypted"));
    }
    if packed == 0xffff_ffff || size == 0xffff_ffff || header == 0xffff_ffff {
        return Err(format!("`{text}` is larger than 4 GiB"));
    }
    if size > limit {
        return Err(format!("`{text}` is too large ({size} bytes)"));
    }
    if bytes.get(header..header + 4) != Some(b"PK\x03\x04") {
        return Err(format!("the header of `{text}` is damaged"));
    }
    let local = |off| number(bytes, header + off, 2).ok_or(cut);
    let start = header + 30 + local(26)? + local(28)?;
    let data = bytes.get(start..start.saturating_add(packed)).ok_or(format!("`{text}` is cut short"))?;
    let content = match method {
        0 => data.to_vec(),
        8 => miniz_oxide::inflate::decompress_to_vec_with_limit(data, size)
            .map_err(|_| format!("`{text}` does not unpack"))?,
        other => return Err(format!("`{text}` is packed with method {other}; use numpy.savez")),
    };
    if content.len() != size || crc32(&content) as usize != checksum {
        return Err(format!("`{text}` is damaged (its checksum differs)"));
    }
    Ok((text, content, at + 46 + name + extra + comment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_archive_and_every_cut_of_it() {
        let bytes = include_bytes!("../../../assets/demo/bc_test.npz");
        let names: Vec<_> = members(bytes, 1 << 20).unwrap().into_iter().map(|m| m.0).collect();
        assert_eq!(names, ["x.npy", "label.npy"]);
        for end in (0..bytes.len()).step_by(97) {
            assert!(members(&bytes[..end], 1 << 20).is_err());
        }
        assert!(members(bytes, 100).unwrap_err().contains("too large"));
    }

    #[test]
    fn a_flipped_byte_is_seen() {
        let mut bytes = include_bytes!("../../../assets/demo/bc_test.npz").to_vec();
        bytes[5000] ^= 1;
        assert!(members(&bytes, 1 << 20).unwrap_err().contains("checksum"));
    }
}
