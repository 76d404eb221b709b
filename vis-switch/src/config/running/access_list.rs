//! `ip access-list`: numbered rules about IPv4 packets, with a name.

use super::profile::{Description, is_name};
use super::profiles::counted;
use super::{Rule, RunningConfig, rule};
use crate::engine::acl::{Acl, AclRule, Addresses, Matches, Ports, SharedAcl, TCP, UDP};
use core::fmt;
use niv_node::counter::Counter;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

/// Access lists that may be configured.
pub const MOST_ACCESS_LISTS: usize = 256;
/// Lines that one may have.
pub const MOST_LINES: usize = 1024;
/// The first number that a line without one gets, and how far it is to the next (NX-OS).
const STEP: u32 = 10;

/// The name of an access list: 1 to 64 printing ASCII characters without blanks, `?` and `|`. It may be a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclName(Arc<str>);

impl AclName {
    /// The most octets (NX-OS).
    pub const MAX: usize = 64;

    /// `None` for what is not allowed.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        is_name(name, Self::MAX).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AclName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A line of an access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclLine {
    /// A text for people.
    Remark(Description),
    /// A rule.
    Rule(AclRule),
}

/// Protocols that have a name here (NX-OS).
pub const PROTOCOLS: [(&str, u8); 9] = [
    ("ahp", 51),
    ("esp", 50),
    ("gre", 47),
    ("icmp", 1),
    ("igmp", 2),
    ("ospf", 89),
    ("pim", 103),
    ("tcp", TCP),
    ("udp", UDP),
];

impl fmt::Display for AclLine {
    /// `permit tcp any 10.0.0.0/24 eq 80`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self {
            Self::Remark(text) => return write!(f, "remark {}", text.as_str()),
            Self::Rule(rule) => rule,
        };
        f.write_str(if rule.permit { "permit " } else { "deny " })?;
        match rule.protocol {
            None => f.write_str("ip")?,
            Some(number) => match PROTOCOLS.iter().find(|(_, known)| *known == number) {
                Some((name, _)) => f.write_str(name)?,
                None => write!(f, "{number}")?,
            },
        }
        for (addresses, ports) in
            [(rule.source, rule.source_ports), (rule.destination, rule.destination_ports)]
        {
            f.write_str(" ")?;
            write_addresses(f, addresses)?;
            match ports {
                None => {}
                Some(Ports::Eq(port)) => write!(f, " eq {port}")?,
                Some(Ports::Neq(port)) => write!(f, " neq {port}")?,
                Some(Ports::Gt(port)) => write!(f, " gt {port}")?,
                Some(Ports::Lt(port)) => write!(f, " lt {port}")?,
                Some(Ports::Range(first, last)) => write!(f, " range {first} {last}")?,
            }
        }
        Ok(())
    }
}

/// As a prefix where it is one, as NX-OS does.
fn write_addresses(f: &mut fmt::Formatter<'_>, addresses: Addresses) -> fmt::Result {
    let (address, wildcard) = (Ipv4Addr::from_bits(addresses.bits()), addresses.wildcard());
    if addresses == Addresses::ANY {
        f.write_str("any")
    } else if wildcard & wildcard.wrapping_add(1) == 0 {
        write!(f, "{address}/{}", wildcard.leading_zeros())
    } else {
        write!(f, "{address} {}", Ipv4Addr::from_bits(wildcard))
    }
}

/// A line, and how many packets it decided about.
#[derive(Clone, Debug)]
struct Counted {
    line: AclLine,
    matches: Matches,
}

/// An access list. What it counts goes on while its lines are the same; it is no part of what two lists are compared by.
#[derive(Clone, Debug, Default)]
pub struct AccessList {
    lines: BTreeMap<u32, Counted>,
    unmatched: Matches,
    /// Made when somebody needs it, once.
    compiled: OnceLock<SharedAcl>,
}

impl PartialEq for AccessList {
    fn eq(&self, other: &Self) -> bool {
        self.lines()
            .map(|(number, line, _)| (number, line))
            .eq(other.lines().map(|(number, line, _)| (number, line)))
    }
}

impl Eq for AccessList {}

impl AccessList {
    /// The lines by number, and the packets that each decided about.
    pub fn lines(&self) -> impl Iterator<Item = (u32, &AclLine, u64)> {
        self.lines.iter().map(|(number, counted)| (*number, &counted.line, counted.matches.sum(Counter::get)))
    }

    /// Packets that no line fits; they were denied.
    #[must_use]
    pub fn unmatched(&self) -> u64 {
        self.unmatched.sum(Counter::get)
    }

    /// The list for the data path.
    #[must_use]
    pub fn acl(&self) -> SharedAcl {
        let rules = self.lines.values().filter_map(|counted| match &counted.line {
            AclLine::Rule(rule) => Some((*rule, Arc::clone(&counted.matches))),
            AclLine::Remark(_) => None,
        });
        let compile = || SharedAcl(Arc::new(Acl::new(rules, Arc::clone(&self.unmatched))));
        self.compiled.get_or_init(compile).clone()
    }

    /// Puts a line under a number, in the place of the one that was there; without a number behind the others, unless it is
    /// there already.
    ///
    /// # Errors
    /// There are too many, or no number is left.
    pub fn put(&mut self, number: Option<u32>, line: AclLine) -> Result<(), Rule> {
        let number = match number {
            Some(number) => number,
            None if self.lines.values().any(|counted| counted.line == line) => return Ok(()),
            None => {
                let last = self.lines.last_key_value().map_or(0, |(number, _)| *number);
                let next = last.checked_add(STEP);
                next.ok_or_else(|| Rule("No number is left behind the last line.".to_owned()))?
            }
        };
        if self.lines.len() >= MOST_LINES && !self.lines.contains_key(&number) {
            return rule(format!("An access list has at most {MOST_LINES} lines."));
        }
        if self.lines.get(&number).is_none_or(|counted| counted.line != line) {
            self.lines.insert(number, Counted { line, matches: Arc::default() });
            self.compiled.take();
        }
        Ok(())
    }

    /// Removes the line with this number.
    ///
    /// # Errors
    /// There is none.
    pub fn remove(&mut self, number: u32) -> Result<(), Rule> {
        if self.lines.remove(&number).is_none() {
            return rule(format!("There is no line {number}."));
        }
        self.compiled.take();
        Ok(())
    }

    /// Goes on counting where this former list was, as far as lines are the same.
    fn count_on(&mut self, before: &Self) {
        self.unmatched = Arc::clone(&before.unmatched);
        for (number, counted) in &mut self.lines {
            if let Some(former) = before.lines.get(number).filter(|former| former.line == counted.line) {
                counted.matches = Arc::clone(&former.matches);
            }
        }
        self.compiled.take();
    }
}

impl RunningConfig {
    /// The access lists by name.
    #[must_use]
    pub fn access_lists(&self) -> &BTreeMap<AclName, Arc<AccessList>> {
        &self.access_lists
    }

    /// Makes the access list if it is not there, and gives it to be changed.
    ///
    /// # Errors
    /// There are too many.
    pub fn make_access_list(&mut self, name: &AclName) -> Result<&mut AccessList, Rule> {
        if self.access_lists.len() >= MOST_ACCESS_LISTS && !self.access_lists.contains_key(name) {
            return rule(format!("There are {MOST_ACCESS_LISTS} access lists, and there cannot be more."));
        }
        Ok(Arc::make_mut(self.access_lists.entry(name.clone()).or_default()))
    }

    /// Takes an access list out.
    ///
    /// # Errors
    /// There is none of this name, or it is typed somewhere: without it everything would pass there.
    pub fn remove_access_list(&mut self, name: &AclName) -> Result<(), Rule> {
        if !self.access_lists.contains_key(name) {
            return rule(format!("There is no access list {name}."));
        }
        let users = self.access_list_users(name);
        if !users.is_empty() {
            let users = counted("place", users.into_iter());
            return rule(format!("access list {name} is in use in {users}"));
        }
        self.access_lists.remove(name);
        Ok(())
    }

    /// Where an access list is typed, for people.
    #[must_use]
    pub fn access_list_users(&self, name: &AclName) -> Vec<String> {
        self.places_with(|lines| {
            [&lines.acl_in, &lines.acl_out].into_iter().flatten().any(|list| list == name)
        })
    }

    /// Goes on counting where this former configuration was.
    pub fn count_on(&mut self, before: &Self) {
        for (name, list) in &mut self.access_lists {
            match before.access_lists.get(name) {
                Some(former) if *former == *list => *list = Arc::clone(former),
                Some(former) => Arc::make_mut(list).count_on(former),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(permit: bool) -> AclLine {
        let (source, destination) =
            (Addresses::new(0x0a00_0001, 0), Addresses::new(0x0a00_0005, 0x00ff_00ff));
        AclLine::Rule(AclRule {
            permit,
            protocol: Some(TCP),
            source,
            source_ports: None,
            destination,
            destination_ports: Some(Ports::Range(80, 90)),
        })
    }

    #[test]
    fn lines_get_numbers_and_are_written_like_those_of_a_nexus() {
        let mut list = AccessList::default();
        list.put(None, rule(true)).unwrap();
        list.put(None, rule(true)).unwrap();
        list.put(Some(15), rule(false)).unwrap();
        list.put(None, AclLine::Remark(Description::new("the rest").unwrap())).unwrap();
        let text: Vec<String> = list.lines().map(|(number, line, _)| format!("{number} {line}")).collect();
        let words = "tcp 10.0.0.1/32 10.0.0.0 0.255.0.255 range 80 90";
        assert_eq!(
            text,
            [format!("10 permit {words}"), format!("15 deny {words}"), "25 remark the rest".to_owned()]
        );
        list.put(Some(u32::MAX), rule(true)).unwrap();
        assert!(list.put(None, AclLine::Remark(Description::new("x").unwrap())).is_err());
        assert!(list.remove(11).is_err());
    }

    #[test]
    fn a_line_that_stays_goes_on_counting() {
        let (mut config, name) = (RunningConfig::default(), AclName::new("500").unwrap());
        let list = config.make_access_list(&name).unwrap();
        list.put(Some(10), rule(true)).unwrap();
        list.put(Some(20), rule(false)).unwrap();
        let before = config.clone();
        let compiled = before.access_lists()[&name].acl();
        let matches = |config: &RunningConfig| -> Vec<u64> {
            config.access_lists()[&name].lines.values().map(|line| line.matches.sum(Counter::get)).collect()
        };
        before.access_lists()[&name].lines.values().for_each(|line| line.matches.of(1).add(5));

        // Made anew from its text.
        let mut again = RunningConfig::default();
        let list = again.make_access_list(&name).unwrap();
        list.put(Some(10), rule(true)).unwrap();
        list.put(Some(20), rule(true)).unwrap();
        again.count_on(&before);
        assert_eq!(matches(&again), [5, 0]);
        assert_ne!(again.access_lists()[&name].acl(), compiled);
        again.make_access_list(&name).unwrap().put(Some(20), rule(false)).unwrap();
        again.count_on(&before);
        assert_eq!((matches(&again), again.access_lists()[&name].acl()), (vec![5, 5], compiled));
    }
}
