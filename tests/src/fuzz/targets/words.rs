//! What is said on a link: requests made of octets, and answers to them, right and wrong ones.

use super::steps::Steps;
use vntag::ctl::{
    Body, Cause, Counters, EventCode, Header, InitialState, Message, Opcode, Provisioning, Refusal, Request,
    Response, Status, VifParams, VifState, Vifs, VlanMode, Writer,
};
use vntag::ethernet::Mac;
use vntag::{ListId, Uuid, VifId};

/// How the other end answers requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answering {
    Well,
    Refusing(u16),
    Never,
    /// Says yes with these numbers.
    Oddly(u16),
}

/// A VIF: low numbers mostly, the highest some time.
fn vif(steps: &mut Steps<'_>) -> VifId {
    let octet = steps.octet();
    let number = if octet < 0xe0 { 1 + u16::from(octet % 32) } else { VifId::MAX - u16::from(octet & 0x1f) };
    VifId::new(number).expect("1 to 4094")
}

fn vifs(steps: &mut Steps<'_>) -> Vifs {
    let many = steps.below(7);
    let ids: Vec<VifId> = match many {
        6 => (1..=512).filter_map(VifId::new).collect(),
        few => (0..few).map(|_| vif(steps)).collect(),
    };
    Vifs::new(ids).unwrap_or_default()
}

fn params(steps: &mut Steps<'_>) -> VifParams {
    let octet = steps.octet();
    VifParams {
        mode: steps.one(VlanMode::ALL),
        cos: octet & 7,
        vlan: 1 + u16::from(octet),
        priorities: octet,
        mtu: VifParams::MIN_MTU + u16::from(octet) * 8,
        min_rate: 0,
        max_rate: u64::from(octet) << 20,
    }
}

/// The blob of one of a few vNICs.
pub(super) fn blob(steps: &mut Steps<'_>) -> Provisioning {
    let who = steps.octet();
    let profile = steps.one(&["default", "web", "nobody", ""]);
    let blob = Provisioning::builder()
        .profile(profile)
        .mac(Mac([2, 0, 0, 0, 1, who & 3]))
        .client_uuid(Uuid([1 + (who >> 2 & 3); 16]));
    let blob = match who >> 4 {
        0..12 => blob,
        number => blob.incarnation(u64::from(number)),
    };
    let more = blob.clone().tlv(steps.word(), steps.octets());
    more.build().or_else(|_| blob.build()).expect("a blob")
}

/// A request of either end, or one from octets.
pub(super) fn request(steps: &mut Steps<'_>) -> Option<Request> {
    let list = |steps: &mut Steps<'_>| ListId::new(1 + u16::from(steps.below(20))).expect("1 to 20");
    Some(match steps.below(15) {
        0 | 1 => Request::VifCreate {
            channel: u16::from(steps.below(6)),
            provisioning: blob(steps),
            initial: steps.one(InitialState::ALL),
        },
        2 => Request::VifEnable { vif: vif(steps) },
        3 => Request::VifDisable { vif: vif(steps) },
        4 => Request::VifDelete { vif: vif(steps) },
        5 | 6 => Request::VifSet {
            vifs: vifs(steps),
            state: steps.flag().then(|| steps.one(VifState::ALL)),
            params: steps.flag().then(|| params(steps)),
            cause: steps.flag().then(|| Cause::new(steps.word(), &String::from_utf8_lossy(steps.octets()))),
        },
        7 => {
            let (list, generation) = (list(steps), u32::from(steps.octet()));
            Request::ListSet { list, generation, members: vifs(steps) }
        }
        8 => {
            let (list, generation) = (list(steps), u32::from(steps.octet()));
            Request::ListMod { list, generation, add: vifs(steps), del: vifs(steps) }
        }
        9 => Request::ListGet { list: list(steps), after: steps.flag().then(|| vif(steps)) },
        10 => Request::StatsGet { vif: vif(steps) },
        11 => Request::LinkState { vifs: vifs(steps), up: steps.flag() },
        12 => Request::Event { code: EventCode(u16::from(steps.octet())) },
        13 => Request::Announce { vif: vif(steps), mac: Mac([2, 0, 0, 0, 1, steps.octet()]) },
        _ => {
            let opcode = Opcode(2 + steps.below(12));
            let mut pdu = Writer::new(&Header::request(opcode, 0, 0)).finish();
            let body = steps.octets();
            pdu[6..8].copy_from_slice(&(body.len() as u16).to_be_bytes());
            pdu.extend(body);
            match Message::parse(&pdu).ok()?.message.body {
                Body::Request(request) => request,
                _ => return None,
            }
        }
    })
}

pub(super) fn answer(request: &Request, how: Answering) -> Result<Response, Refusal> {
    let odd = match how {
        Answering::Refusing(status) => return Err(Refusal::with_cause(Status(status.max(2)), status, "no")),
        Answering::Oddly(number) => Some(number),
        Answering::Well | Answering::Never => None,
    };
    let params = VifParams {
        mode: VlanMode::Access,
        cos: 0,
        vlan: odd.map_or(1, |odd| odd % 4094 + 1),
        priorities: 0xff,
        mtu: 1500,
        min_rate: 0,
        max_rate: 0,
    };
    Ok(match request {
        Request::VifCreate { channel, .. } => {
            // Each channel has its VIF; an odd one gives many the same.
            let number = odd.map_or(1 + channel % 1000, |odd| 1 + odd % 8);
            let vif = VifId::new(number).expect("1 to 1000");
            Response::VifCreate { vif, veth: u32::from(number), params }
        }
        Request::VifEnable { .. } => Response::VifEnable { params },
        Request::VifDisable { .. } => Response::VifDisable,
        Request::VifDelete { .. } => Response::VifDelete,
        Request::VifSet { .. } => Response::VifSet,
        Request::ListSet { .. } => Response::ListSet,
        Request::ListMod { .. } => Response::ListMod,
        Request::ListGet { .. } => {
            let members = Vifs::new(odd.and_then(VifId::new)).unwrap_or_default();
            Response::ListGet { generation: odd.unwrap_or(0).into(), members, more: odd.is_some() }
        }
        Request::StatsGet { .. } => Response::StatsGet { counters: Counters::default() },
        Request::LinkState { .. } => Response::LinkState,
        Request::Event { .. } => Response::Event,
        Request::Announce { .. } => Response::Announce,
    })
}
