//! Profiles that inherit: held against a naive model under random edits, and the words of refusals.

use super::*;
use crate::config::expand;
use crate::config::text::running_config;
use proptest::collection::vec;
use proptest::prelude::*;

/// Settings, and what may be typed behind them.
const SETTINGS: [(&str, [&str; 2]); 6] = [
    ("switchport mode", ["access", "trunk"]),
    ("switchport access vlan", ["10", "20"]),
    ("switchport trunk native vlan", ["30", "40"]),
    ("switchport trunk allowed vlan", ["50-59", "none"]),
    ("mtu", ["1400", "9000"]),
    ("uplink-fail-action", ["warning", "link-down"]),
];

/// Settings by their place in [`SETTINGS`].
type Settings = BTreeMap<usize, &'static str>;

#[derive(Clone, Default)]
struct Profile {
    enabled: bool,
    settings: Settings,
    inherits: Vec<String>,
}

#[derive(Clone, Default)]
struct Interface {
    profile: Option<String>,
    settings: Settings,
}

/// What the rules say, by walking every path.
#[derive(Clone)]
struct Model {
    profiles: BTreeMap<String, Profile>,
    interfaces: BTreeMap<u32, Interface>,
}

impl Model {
    /// Every way down from a profile, itself first; too long ones are cut.
    fn paths(&self, from: &str, length: usize) -> Vec<Vec<String>> {
        let mut paths = vec![vec![from.to_owned()]];
        let next = self.profiles.get(from).map(|profile| profile.inherits.clone()).unwrap_or_default();
        for other in next.iter().filter(|_| length > 1) {
            paths.extend(
                self.paths(other, length - 1).into_iter().map(|path| [vec![from.to_owned()], path].concat()),
            );
        }
        paths
    }

    /// No profile comes twice on a way, and no way is longer than four.
    fn is_whole(&self) -> bool {
        self.profiles.keys().flat_map(|name| self.paths(name, 6)).all(|path| {
            path.len() <= 4 && path.iter().collect::<std::collections::BTreeSet<_>>().len() == path.len()
        })
    }

    /// The first that says it: the profile, else the first that it inherits from, with all behind that.
    fn find(&self, profile: &str, setting: usize) -> Option<(&'static str, String)> {
        let known = self.profiles.get(profile)?;
        let own = known.settings.get(&setting).map(|value| (*value, profile.to_owned()));
        own.or_else(|| known.inherits.iter().find_map(|other| self.find(other, setting)))
    }

    fn is_applied(&self, profile: &str) -> bool {
        let there =
            self.paths(profile, 4).into_iter().flatten().all(|name| self.profiles.contains_key(&name));
        there && self.profiles[profile].enabled
    }

    /// The lines that count on an interface, and their origins.
    fn lines(&self, number: u32) -> Vec<(String, String)> {
        let interface = &self.interfaces[&number];
        let mut lines = Vec::new();
        if let Some(profile) = &interface.profile {
            lines.push((format!("inherit port-profile {profile}"), "interface".to_owned()));
        }
        let applied = interface.profile.as_ref().filter(|profile| self.is_applied(profile));
        for (setting, (words, _)) in SETTINGS.iter().enumerate() {
            let own = interface.settings.get(&setting).map(|value| (*value, "interface".to_owned()));
            let inherited = || {
                let (value, profile) = self.find(applied?, setting)?;
                Some((value, format!("port-profile {profile}")))
            };
            if let Some((value, origin)) = own.or_else(inherited) {
                lines.push((format!("{words} {value}"), origin));
            }
        }
        lines
    }
}

/// One edit; profiles are named by number, and the last ones are mostly not there.
#[derive(Clone, Debug)]
enum Edit {
    Make(u8),
    Remove(u8),
    State(u8, bool),
    Inherit(u8, u8),
    Disinherit(u8, u8),
    Set(u8, usize, Option<usize>),
    InterfaceInherit(u32, Option<u8>),
    InterfaceSet(u32, usize, Option<usize>),
}

fn called(profile: u8) -> String {
    format!("p{profile}")
}

impl Edit {
    fn lines(&self) -> String {
        let setting = |setting: usize, value: Option<usize>| match value {
            Some(value) => format!("{} {}", SETTINGS[setting].0, SETTINGS[setting].1[value]),
            None => format!("no {}", SETTINGS[setting].0),
        };
        match self {
            Self::Make(profile) => format!("port-profile p{profile}"),
            Self::Remove(profile) => format!("no port-profile p{profile}"),
            Self::State(profile, on) => {
                format!("port-profile p{profile}\n{}state enabled", if *on { "" } else { "no " })
            }
            Self::Inherit(profile, from) => format!("port-profile p{profile}\ninherit port-profile p{from}"),
            Self::Disinherit(profile, from) => {
                format!("port-profile p{profile}\nno inherit port-profile p{from}")
            }
            Self::Set(profile, at, value) => format!("port-profile p{profile}\n{}", setting(*at, *value)),
            Self::InterfaceInherit(number, Some(profile)) => {
                format!("interface vethernet {number}\ninherit port-profile p{profile}")
            }
            Self::InterfaceInherit(number, None) => {
                format!("interface vethernet {number}\nno inherit port-profile")
            }
            Self::InterfaceSet(number, at, value) => {
                format!("interface vethernet {number}\n{}", setting(*at, *value))
            }
        }
    }

    /// What comes of it; `None` where it is to be refused.
    fn apply(&self, before: &Model) -> Option<Model> {
        let mut model = before.clone();
        let put = |settings: &mut Settings, setting: usize, value: Option<usize>| {
            match value {
                Some(value) => settings.insert(setting, SETTINGS[setting].1[value]),
                None => settings.remove(&setting),
            };
        };
        match self {
            Self::Make(profile) => {
                model.profiles.entry(called(*profile)).or_default();
            }
            Self::Remove(profile) => {
                let name = called(*profile);
                let used =
                    model.interfaces.values().any(|interface| interface.profile.as_ref() == Some(&name));
                let inherited = model.profiles.values().any(|profile| profile.inherits.contains(&name));
                model.profiles.remove(&name).filter(|_| !used && !inherited)?;
            }
            Self::State(profile, on) => model.profiles.entry(called(*profile)).or_default().enabled = *on,
            Self::Inherit(profile, from) => {
                let inherits = &mut model.profiles.entry(called(*profile)).or_default().inherits;
                if !inherits.contains(&called(*from)) {
                    inherits.push(called(*from));
                }
            }
            Self::Disinherit(profile, from) => {
                let inherits = &mut model.profiles.entry(called(*profile)).or_default().inherits;
                let place = inherits.iter().position(|name| *name == called(*from))?;
                inherits.remove(place);
            }
            Self::Set(profile, setting, value) => {
                put(&mut model.profiles.entry(called(*profile)).or_default().settings, *setting, *value);
            }
            Self::InterfaceInherit(number, profile) => {
                model.interfaces.entry(*number).or_default().profile = profile.map(called);
            }
            Self::InterfaceSet(number, setting, value) => {
                put(&mut model.interfaces.entry(*number).or_default().settings, *setting, *value);
            }
        }
        model.is_whole().then_some(model)
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let (profile, number, setting) = (0..7u8, 1..4u32, 0..SETTINGS.len());
    let value = || proptest::option::weighted(0.8, 0..2usize);
    prop_oneof![
        2 => profile.clone().prop_map(Edit::Make),
        1 => profile.clone().prop_map(Edit::Remove),
        3 => (profile.clone(), proptest::bool::weighted(0.8)).prop_map(|(p, on)| Edit::State(p, on)),
        8 => (profile.clone(), profile.clone()).prop_map(|(p, from)| Edit::Inherit(p, from)),
        2 => (profile.clone(), profile.clone()).prop_map(|(p, from)| Edit::Disinherit(p, from)),
        6 => (profile.clone(), setting.clone(), value()).prop_map(|(p, s, v)| Edit::Set(p, s, v)),
        3 => (number.clone(), proptest::option::weighted(0.8, profile)).prop_map(|(n, p)| Edit::InterfaceInherit(n, p)),
        3 => (number, setting, value()).prop_map(|(n, s, v)| Edit::InterfaceSet(n, s, v)),
    ]
}

proptest! {
    #[test]
    fn what_counts_and_where_it_comes_from(edits in vec(edit(), 1..80)) {
        let mut config = initial();
        let mut model = Model { profiles: [].into(), interfaces: [].into() };
        for edit in &edits {
            let lines = edit.lines();
            match (configure(&config, &lines), edit.apply(&model)) {
                (Ok(after), Some(wanted)) => (config, model) = (after, wanted),
                (Err(_), None) => {}
                (Ok(_), None) => prop_assert!(false, "accepted: {}\n{}", lines, running_config(&config)),
                (Err(error), Some(_)) => prop_assert!(false, "{}\n{}", error, running_config(&config)),
            }
            for number in model.interfaces.keys() {
                let seen: Vec<_> = expand::vethernet(&config, *number, None)
                    .into_iter()
                    .map(|(line, origin)| (line, origin.to_string()))
                    .collect();
                prop_assert_eq!(&seen, &model.lines(*number), "vethernet {}\n{}", number, running_config(&config));
                // The lines alone make what is in force.
                let settings = seen.iter().filter(|(line, _)| !line.starts_with("inherit"));
                let text: String = settings.map(|(line, _)| format!("{line}\n")).collect();
                let flat = configure(&initial(), &format!("interface vethernet 1\n{text}")).unwrap();
                let (in_force, flat) = (config.effective(*number, None), flat.effective(1, None));
                prop_assert_eq!((in_force.switchport, in_force.uplink_fail), (flat.switchport, flat.uplink_fail));
            }
        }
        let again = configure(&initial(), &running_config(&config)).unwrap();
        prop_assert!(again == config, "{}", running_config(&config));
    }
}

#[test]
fn refusals_name_the_chain() {
    let chain = "port-profile a\n inherit port-profile b\nport-profile b\n inherit port-profile c\n\
                 port-profile c\n inherit port-profile d\nport-profile d\nport-profile x\n";
    let config = configure(&initial(), chain).unwrap();
    let cases = [
        ("port-profile a\n inherit port-profile a", "port-profile a would inherit from itself: a > a."),
        (
            "port-profile d\n inherit port-profile b",
            "port-profile d would inherit from itself: d > b > c > d.",
        ),
        (
            "port-profile d\n inherit port-profile nowhere",
            "Port-profiles inherit at most 4 levels deep; these are 5: a > b > c > d > nowhere.",
        ),
        (
            "port-profile x\n inherit port-profile a",
            "Port-profiles inherit at most 4 levels deep; these are 5: x > a > b > c > d.",
        ),
        ("port-profile x\n no inherit port-profile a", "port-profile x does not inherit from a."),
    ];
    for (lines, message) in cases {
        let error = configure(&config, lines).unwrap_err();
        assert_eq!((error.line, error.message.as_str()), (Some(2), message));
    }
    let error = configure(&config, "no port-profile d").unwrap_err();
    assert_eq!(error.message, "port-profile d is inherited by 1 port-profile: c.");
    // The lines of one text count together.
    assert!(configure(&config, "port-profile c\n no inherit port-profile\nno port-profile d").is_ok());
    let nine: String = (0..9).map(|n| format!(" inherit port-profile n{n}\n")).collect();
    let error = configure(&config, &format!("port-profile x\n{nine}")).unwrap_err();
    assert_eq!((error.line, error.message.contains("from 8 others")), (Some(10), true), "{error}");
}

#[test]
fn only_the_profile_on_the_interface_must_be_enabled_but_all_must_be_there() {
    let lines = "port-profile web\n inherit port-profile server\n state enabled\n\
                 interface vethernet 1\n inherit port-profile web\n";
    let config = configure(&initial(), lines).unwrap();
    let fault =
        |config: &RunningConfig| config.effective(1, None).profile.err().map(|fault| fault.to_string());
    assert_eq!(fault(&config).as_deref(), Some("profile missing: server"));
    let config = configure(&config, "port-profile server\n switchport access vlan 10").unwrap();
    assert_eq!((fault(&config), config.effective(1, None).switchport.access), (None, 10));
    let config = configure(&config, "port-profile web\n no state").unwrap();
    assert_eq!(fault(&config).as_deref(), Some("profile disabled: web"));
}

#[test]
fn lists_of_vlans_begin_with_what_is_inherited() {
    let lines = "port-profile server\n switchport trunk allowed vlan 10-20\n\
                 port-profile web\n inherit port-profile server\n switchport trunk allowed vlan remove 15\n";
    let config = configure(&initial(), lines).unwrap();
    let allowed = config.profile_switchport(&name("web")).allowed;
    assert!(allowed.contains(10) && !allowed.contains(15) && !allowed.contains(30));
    // One that is not there adds nothing and takes nothing away.
    let lines = "port-profile web\n inherit port-profile nowhere\n switchport trunk allowed vlan 5\n\
                 switchport trunk allowed vlan add 7\n";
    let config = configure(&initial(), lines).unwrap();
    assert_eq!(config.profile_switchport(&name("web")).allowed, [5, 7].into_iter().collect());
}
