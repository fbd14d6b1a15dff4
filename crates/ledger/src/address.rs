//! Where a validator listens for others, as its bond says it `[H47]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Most bytes of an address.
pub const ADDRESS_MAX: usize = 128;
/// Most bytes between the dots of a name.
const LABEL_MAX: usize = 63;

/// Where a validator is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// At an IP address and a port.
    Ip(SocketAddr),
    /// At a name that is looked up by whoever dials, and a port.
    Name(&'a str, u16),
}

impl<'a> Address<'a> {
    /// Reads an address; each has one spelling. Nothing is looked up, and the rules are spelled out here instead of being
    /// a library's: every machine must refuse the same.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > ADDRESS_MAX {
            return None;
        }
        let (host, port) = std::str::from_utf8(bytes).ok()?.rsplit_once(':')?;
        let port = decimal::<u16>(port).filter(|port| *port != 0)?;
        if let Some(inside) = host.strip_prefix('[') {
            let ip = v6(inside.strip_suffix(']')?)?;
            return Some(Self::Ip(SocketAddr::new(IpAddr::V6(ip), port)));
        }
        match v4(host) {
            Some(ip) => Some(Self::Ip(SocketAddr::new(IpAddr::V4(ip), port))),
            None => is_name(host).then_some(Self::Name(host, port)),
        }
    }
}

fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let is_plain = text == "0" || !text.starts_with('0');
    let is_decimal = is_plain && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal { text.parse().ok() } else { None }
}

fn v4(text: &str) -> Option<Ipv4Addr> {
    let bytes: Option<Vec<u8>> = text.split('.').map(decimal).collect();
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes?).ok()?))
}

/// Eight groups, or fewer with one `::` that stands for at least one group of zeros.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let all = match text.split_once("::") {
        None => groups(text)?,
        Some((head, tail)) => {
            let (head, tail) = (groups(head)?, groups(tail)?);
            let zeros = 8usize.checked_sub(head.len())?.checked_sub(tail.len()).filter(|zeros| *zeros > 0)?;
            [head, vec![0; zeros], tail].concat()
        }
    };
    Some(Ipv6Addr::from(<[u16; 8]>::try_from(all).ok()?))
}

fn groups(text: &str) -> Option<Vec<u16>> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let group = |text: &str| {
        let is_group = (1..=4).contains(&text.len()) && text.bytes().all(is_hex);
        if is_group { u16::from_str_radix(text, 16).ok() } else { None }
    };
    if text.is_empty() { Some(Vec::new()) } else { text.split(':').map(group).collect() }
}

/// Labels of small letters, digits and inner hyphens. The last begins with a letter: what else is all digits and dots, or
/// begins with `0x`, some resolvers take for an IP address.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_label = |label: &str| {
        let is_long = (1..=LABEL_MAX).contains(&label.len());
        is_long && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().and_then(|label| label.bytes().next());
    last.is_some_and(|byte| byte.is_ascii_lowercase()) && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_spelling() {
        let ip = |text: &str| Some(Address::Ip(text.parse().unwrap()));
        for good in [
            "192.0.2.7:7100",
            "0.0.0.0:1",
            "255.255.255.255:65535",
            "[2001:db8::7]:7100",
            "[::]:1",
            "[::1]:1",
            "[1::]:1",
            "[1:2:3:4:5:6:7:8]:9",
            "[1:2:3::5:6:7:8]:9",
        ] {
            assert_eq!(Address::read(good.as_bytes()), ip(good), "{good}");
        }
        for (host, port) in [
            ("a", 1),
            ("validator-1", 7100),
            ("v1.example.org", 7100),
            ("1.2.3.a", 5),
            ("xn--bcher-kva.ch", 5),
        ] {
            let text = format!("{host}:{port}");
            assert_eq!(Address::read(text.as_bytes()), Some(Address::Name(host, port)), "{text}");
        }
    }

    #[test]
    fn addresses_are_bounded() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{}:7100", "b".repeat(59));
        assert_eq!(longest.len(), ADDRESS_MAX);
        assert!(Address::read(longest.as_bytes()).is_some());
        assert!(Address::read(format!("a{longest}").as_bytes()).is_none());
        let beyond = format!("{label}a:1");
        assert!(Address::read(beyond.as_bytes()).is_none());
    }

    #[test]
    fn other_spellings_are_none() {
        for bad in [
            "",
            ":",
            ":7100",
            "192.0.2.7",
            "192.0.2.7:",
            "192.0.2.7:0",
            "192.0.2.7:65536",
            "192.0.2.7:07100",
            "192.0.2.7:+5",
            "192.0.2.7: 5",
            " 192.0.2.7:5",
            "192.0.2.07:5",
            "192.0.2:5",
            "192.0.2.7.1:5",
            "192.0.2.256:5",
            "3221225991:5",
            "0xc0000207:5",
            "v1.0x7:5",
            "2001:db8::7:7100",
            "[2001:DB8::7]:7100",
            "[1:2:3:4:5:6:7:8:9]:9",
            "[1:2:3:4:5:6:7]:9",
            "[1:2:3:4::5:6:7:8]:9",
            "[1::2::3]:9",
            "[1:::2]:9",
            "[::12345]:9",
            "[::1.2.3.4]:9",
            "[fe80::1%eth0]:9",
            "[::1:9",
            "[]:9",
            "::1]:9",
            "Validator:5",
            "a..b:5",
            ".a:5",
            "a.:5",
            "-a:5",
            "a-:5",
            "a_b:5",
            "a/b:5",
            "user@a:5",
            "a\0:5",
            "é:5",
        ] {
            assert_eq!(Address::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Address::read(&[0xff, b':', b'1']), None);
    }
}
