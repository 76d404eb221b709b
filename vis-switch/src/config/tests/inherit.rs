//! Profiles that inherit: held against a naive model under random edits, and the words of refusals.

use super::*;
use crate::config::expand;
use crate::config::text::running_config;
use proptest::collection::vec;
use proptest::prelude::*;

/// Settings, and what may be typed behind them.
const SETTINGS: [(&str, [&str; 2]); 7] = [
    ("switchport mode", ["access", "trunk"]),
    ("switchport access vlan", ["10", "20"]),
    ("switchport trunk native vlan", ["30", "40"]),
    ("switchport trunk allowed vlan", ["50-59", "none"]),
    (SYSTEM, ["20,50", "10,51,53"]),
    ("mtu", ["1400", "9000"]),
    ("uplink-fail-action", ["warning", "link-down"]),
];

/// Settings by their place in [`SETTINGS`].
type Settings = BTreeMap<usize, &'static str>;

#[derive(Clone, Default)]
struct Profile {
    /// For ports.
    ethernet: bool,
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
    interfaces: BTreeMap<Owner, Interface>,
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

    /// All that refers to a profile is of its type.
    fn is_of_one_type(&self) -> bool {
        let differs = |name: &String, ethernet: bool| {
            self.profiles.get(name).is_some_and(|profile| profile.ethernet != ethernet)
        };
        let refers_to = |name: &String, ethernet: bool| !differs(name, ethernet);
        let of_interface = |(owner, interface): (&Owner, &Interface)| {
            let ethernet = matches!(owner, Owner::Ethernet(_));
            interface.profile.iter().all(|name| refers_to(name, ethernet))
        };
        let of_profile =
            |profile: &Profile| profile.inherits.iter().all(|name| refers_to(name, profile.ethernet));
        self.interfaces.iter().all(of_interface) && self.profiles.values().all(of_profile)
    }

    /// The first that says it: the profile, else the first that it inherits from, with all behind that.
    fn find(&self, profile: &str, setting: usize) -> Option<(&'static str, String)> {
        // One that does not exist says nothing.
        let known = self.profiles.get(profile)?;
        let own = known.settings.get(&setting).map(|value| (*value, profile.to_owned()));
        own.or_else(|| known.inherits.iter().find_map(|other| self.find(other, setting)))
    }

    /// Not applied, but it carries one of its system VLANs.
    fn has_system(&self, owner: Owner, profile: &str) -> bool {
        let own = &self.interfaces[&owner].settings;
        let says = |words: &str| {
            let setting = SETTINGS.iter().position(|(known, _)| *known == words).unwrap();
            own.get(&setting).copied().or_else(|| Some(self.find(profile, setting)?.0))
        };
        let Some(system) = says(SYSTEM) else { return false };
        let first = if owner == UPLINK { "trunk" } else { "access" };
        let carried = match says("switchport mode").unwrap_or(first) {
            "access" => says("switchport access vlan").unwrap_or("1"),
            _ => says("switchport trunk allowed vlan").unwrap_or("all"),
        };
        match carried {
            // All, of those that there are.
            "all" => true,
            "none" => false,
            // The only span that there is, and both have some in it.
            "50-59" => true,
            vlan => system.split(',').any(|other| other == vlan),
        }
    }

    fn is_applied(&self, profile: &str) -> bool {
        let there =
            self.paths(profile, 4).into_iter().flatten().all(|name| self.profiles.contains_key(&name));
        there && self.profiles[profile].enabled
    }

    /// The lines that count on an interface, and their origins.
    fn lines(&self, owner: Owner) -> Vec<(String, String)> {
        let interface = &self.interfaces[&owner];
        let mut lines = Vec::new();
        if let Some(profile) = &interface.profile {
            lines.push((format!("inherit port-profile {profile}"), "interface".to_owned()));
        }
        let counts = |profile: &&String| self.is_applied(profile) || self.has_system(owner, profile);
        let applied = interface.profile.as_ref().filter(counts);
        for (setting, (words, _)) in SETTINGS.iter().enumerate() {
            let own = interface.settings.get(&setting).map(|value| (*value, "interface".to_owned()));
            let inherited = || {
                let (value, profile) = self.find(applied?, setting)?;
                Some((value, format!("port-profile {profile}")))
            };
            let chassis = || {
                let mode = (owner == UPLINK).then_some("trunk").or((owner == PORT).then_some("access"))?;
                (setting == 0).then(|| (mode, "chassis".to_owned()))
            };
            if let Some((value, origin)) = own.or_else(inherited).or_else(chassis) {
                lines.push((format!("{words} {value}"), origin));
            }
        }
        lines
    }
}

/// One edit; profiles are named by number, and the last ones are mostly not there.
#[derive(Clone, Debug)]
enum Edit {
    Make(u8, Option<bool>),
    Remove(u8),
    State(u8, bool),
    Inherit(u8, u8),
    Disinherit(u8, u8),
    Set(u8, usize, Option<usize>),
    InterfaceInherit(Owner, Option<u8>),
    InterfaceSet(Owner, usize, Option<usize>),
}

/// A trunk and an access port, as their chassis says.
const UPLINK: Owner = Owner::Ethernet(EthernetId { slot: 1, port: 2 });
const PORT: Owner = Owner::Ethernet(EthernetId { slot: 1, port: 3 });
/// The setting that only vEths have.
const UPLINK_FAIL: usize = 6;
/// The one that only profiles have.
const SYSTEM: &str = "system vlan";

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
            Self::Make(profile, kind) => {
                let kind =
                    kind.map_or("", |ethernet| if ethernet { "type ethernet " } else { "type vethernet " });
                format!("port-profile {kind}p{profile}")
            }
            Self::Remove(profile) => format!("no port-profile p{profile}"),
            Self::State(profile, on) => {
                format!("port-profile p{profile}\n{}state enabled", if *on { "" } else { "no " })
            }
            Self::Inherit(profile, from) => format!("port-profile p{profile}\ninherit port-profile p{from}"),
            Self::Disinherit(profile, from) => {
                format!("port-profile p{profile}\nno inherit port-profile p{from}")
            }
            Self::Set(profile, at, value) => format!("port-profile p{profile}\n{}", setting(*at, *value)),
            Self::InterfaceInherit(owner, Some(profile)) => {
                format!("interface {owner}\ninherit port-profile p{profile}")
            }
            Self::InterfaceInherit(owner, None) => format!("interface {owner}\nno inherit port-profile"),
            Self::InterfaceSet(owner, at, value) => {
                format!("interface {owner}\n{}", setting(*at, *value))
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
            Self::Make(profile, kind) => {
                let made = Profile { ethernet: *kind == Some(true), ..Profile::default() };
                let profile = model.profiles.entry(called(*profile)).or_insert(made);
                kind.is_none_or(|ethernet| ethernet == profile.ethernet).then_some(())?;
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
                let profile = model.profiles.entry(called(*profile)).or_default();
                let has_it = !profile.ethernet || *setting != UPLINK_FAIL || value.is_none();
                has_it.then(|| put(&mut profile.settings, *setting, *value))?;
            }
            Self::InterfaceInherit(owner, profile) => {
                model.interfaces.entry(*owner).or_default().profile = profile.map(called);
            }
            Self::InterfaceSet(owner, setting, value) => {
                let has_it = matches!(owner, Owner::Vethernet(_)) || *setting != UPLINK_FAIL;
                let has_it = has_it && SETTINGS[*setting].0 != SYSTEM;
                let interface = model.interfaces.entry(*owner).or_default();
                has_it.then(|| put(&mut interface.settings, *setting, *value))?;
            }
        }
        (model.is_whole() && model.is_of_one_type()).then_some(model)
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let (profile, setting) = (0..7u8, 0..SETTINGS.len());
    let owner = || prop_oneof![3 => (1..4u32).prop_map(Owner::Vethernet), 1 => Just(UPLINK), 1 => Just(PORT)];
    let kind = proptest::option::of(any::<bool>());
    let value = || proptest::option::weighted(0.8, 0..2usize);
    prop_oneof![
        2 => (profile.clone(), kind).prop_map(|(p, kind)| Edit::Make(p, kind)),
        1 => profile.clone().prop_map(Edit::Remove),
        3 => (profile.clone(), proptest::bool::weighted(0.8)).prop_map(|(p, on)| Edit::State(p, on)),
        8 => (profile.clone(), profile.clone()).prop_map(|(p, from)| Edit::Inherit(p, from)),
        2 => (profile.clone(), profile.clone()).prop_map(|(p, from)| Edit::Disinherit(p, from)),
        6 => (profile.clone(), setting.clone(), value()).prop_map(|(p, s, v)| Edit::Set(p, s, v)),
        3 => (owner(), proptest::option::weighted(0.8, profile)).prop_map(|(n, p)| Edit::InterfaceInherit(n, p)),
        3 => (owner(), setting, value()).prop_map(|(n, s, v)| Edit::InterfaceSet(n, s, v)),
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
            for owner in model.interfaces.keys() {
                let seen: Vec<_> = expand::interface(&config, *owner, None)
                    .into_iter()
                    .map(|(line, origin)| (line, origin.to_string()))
                    .collect();
                prop_assert_eq!(&seen, &model.lines(*owner), "{}\n{}", owner, running_config(&config));
                // The lines alone make what is in force.
                let only_elsewhere = ["inherit", SYSTEM];
                let settings = seen.iter().filter(|(line, _)| !only_elsewhere.iter().any(|words| line.starts_with(words)));
                let text: String = settings.map(|(line, _)| format!("{line}\n")).collect();
                let flat = configure(&initial(), &format!("interface {owner}\n{text}")).unwrap();
                let in_force = |config: &RunningConfig| {
                    let effective = match owner {
                        Owner::Vethernet(number) => config.effective(*number, None),
                        Owner::Ethernet(id) => config.effective_ethernet(*id),
                    };
                    (effective.system_only, effective.switchport, effective.uplink_fail)
                };
                let ((system_only, switchport, uplink_fail), (_, mut flat, flat_fail)) = (in_force(&config), in_force(&flat));
                flat.system = switchport.system.clone();
                let flat = if system_only { flat.system_only() } else { Some(flat) };
                prop_assert_eq!((Some(switchport), uplink_fail), (flat, flat_fail));
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
