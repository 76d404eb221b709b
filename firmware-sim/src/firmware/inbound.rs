//! The switch's requests.

use vntag::VifId;
use vntag::ctl::session::RequestId;
use vntag::ctl::{Cause, EventCode, Refusal, Request, Response, Status, VifParams, VifState, Vifs};

use super::{Firmware, LinkId, VnicId};
use crate::fault::Fault;
use crate::life::{Input, Phase};
use crate::output::{Notice, Output, StatsId};

/// What a request comes to.
pub(super) type Outcome = Result<Response, Refusal>;

/// An answer to the switch.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) link: LinkId,
    pub(super) id: RequestId,
    pub(super) result: Outcome,
}

/// A request that came before the answer to the create of its VIF.
#[derive(Debug)]
pub(super) struct Deferred {
    pub(super) link: LinkId,
    id: RequestId,
    request: Request,
    late: Option<u64>,
}

impl Firmware {
    pub(super) fn handle_request(&mut self, now: u64, link: LinkId, id: RequestId, request: Request) {
        let opcode = request.opcode();
        let fault = self.faults.next(opcode);
        if let Some(fault) = fault {
            self.counters.fw_faults += 1;
            self.notice(Notice::Fault { link, opcode, fault });
        }
        match fault {
            None => self.serve(now, link, id, request, None),
            Some(Fault::Late(delay)) => self.serve(now, link, id, request, Some(delay)),
            Some(Fault::Refuse(status)) => {
                self.answer(now, link, id, Err(Refusal::with_cause(status, 0, "fault plan")), None);
            }
            Some(Fault::Forget) => {
                let _ = self.apply(now, link, &request);
            }
            Some(Fault::Pretend) => {
                let result = pretend(&request);
                self.answer(now, link, id, result, None);
            }
        }
    }

    fn serve(&mut self, now: u64, link: LinkId, id: RequestId, request: Request, late: Option<u64>) {
        if self.must_wait(link, &request) {
            // As many as the window that was announced, for each link: the session takes no more.
            self.deferred.push_back(Deferred { link, id, request, late });
            return;
        }
        if let Request::StatsGet { vif } = request
            && let Some(vnic) = self.owner(link, vif)
        {
            let id = StatsId { link, request: id };
            self.outputs.push_back(Output::Stats { id, link, vif, vnic });
            return;
        }
        let result = self.apply(now, link, &request);
        self.answer(now, link, id, result, late);
    }

    /// Whether the request names a VIF that a request of ours is about to decide on: a create on its way may bring it,
    /// its answer having been overtaken; it is still to be asked for again; or it is being given back, and the switch must
    /// not take our VIF_DELETE for one of the id's next owner.
    fn must_wait(&self, link: LinkId, request: &Request) -> bool {
        let at = self.links.get(usize::from(link.0));
        let coming = at.is_some_and(|link| link.creating > 0 || link.returning > 0 || link.begin);
        let unsettled = |vif: VifId| match self.owner(link, vif) {
            None => coming,
            Some(vnic) => self
                .vifs
                .get(&(vnic, link))
                .is_some_and(|vif| matches!(vif.phase, Phase::Creating | Phase::Absent | Phase::Deleting)),
        };
        match request {
            Request::VifSet { vifs, .. } | Request::LinkState { vifs, .. } => vifs.iter().any(unsettled),
            Request::VifDelete { vif } | Request::StatsGet { vif } => unsettled(*vif),
            _ => false,
        }
    }

    pub(super) fn retry_deferred(&mut self, now: u64, link: LinkId) {
        for _ in 0..self.deferred.len() {
            let Some(deferred) = self.deferred.pop_front() else { return };
            if deferred.link == link && !self.must_wait(link, &deferred.request) {
                self.serve(now, link, deferred.id, deferred.request, deferred.late);
            } else {
                self.deferred.push_back(deferred);
            }
        }
    }

    fn apply(&mut self, now: u64, link: LinkId, request: &Request) -> Outcome {
        match request {
            Request::VifSet { vifs, state, params, cause } => {
                self.vif_set(now, link, vifs, (*state, *params), cause.as_ref())
            }
            Request::VifDelete { vif } => {
                // Whether it was there or not, it is gone.
                let _ = self.vif_set(now, link, &Vifs::one(*vif), (Some(VifState::Deleted), None), None);
                Ok(Response::VifDelete)
            }
            Request::ListSet { list, generation, members } => {
                self.list_set(link, *list, *generation, members)
            }
            Request::ListMod { list, generation, add, del } => {
                self.list_mod(link, *list, *generation, (add, del))
            }
            Request::ListGet { list, after } => self.list_get(link, *list, *after),
            Request::StatsGet { vif } => match self.owner(link, *vif) {
                None => Err(unknown(*vif)),
                // Only where nobody waits for the counters.
                Some(_) => Err(Refusal::of(Status::ERROR)),
            },
            Request::LinkState { vifs, up } => self.link_state(now, link, vifs, *up),
            Request::Event { code } => {
                if matches!(*code, EventCode::RETRY | EventCode::PROFILES) {
                    self.all_on(now, link, Input::Retry);
                }
                Ok(Response::Event)
            }
            // The adapter's own; the session refuses them.
            Request::VifCreate { .. }
            | Request::VifEnable { .. }
            | Request::VifDisable { .. }
            | Request::Announce { .. } => Err(Refusal::of(Status::INVALID)),
        }
    }

    /// Applied to all VIFs there are; answered with the first there is not. Deleting what is not there is no error.
    fn vif_set(
        &mut self,
        now: u64,
        link: LinkId,
        vifs: &Vifs,
        (state, params): (Option<VifState>, Option<VifParams>),
        cause: Option<&Cause>,
    ) -> Outcome {
        let mut missing = None;
        for id in vifs.iter() {
            let Some(vnic) = self.owner(link, id) else {
                if state == Some(VifState::Deleted) {
                    self.clear_from_lists(link, id);
                } else {
                    missing = missing.or(Some(id));
                }
                continue;
            };
            if let Some(vif) = self.vifs.get_mut(&(vnic, link)) {
                if let (Some(granted), Some(params)) = (&mut vif.granted, params) {
                    granted.params = params;
                    vif.overtaken = vif.token.is_some();
                }
                if let Some(state) = state {
                    let text = match (cause, state) {
                        (Some(cause), _) => cause.to_string(),
                        (None, state) => format!("{state} by the switch"),
                    };
                    vif.cause = Some((Status::BADSTATE, text));
                }
            }
            match state {
                Some(state) => {
                    self.notice(Notice::VifSet { vnic, link, state, cause: cause.cloned() });
                    self.input(now, (vnic, link), Input::Set(state));
                }
                None => self.refresh(now, vnic),
            }
        }
        missing.map_or(Ok(Response::VifSet), |id| Err(unknown(id)))
    }

    fn link_state(&mut self, now: u64, link: LinkId, vifs: &Vifs, up: bool) -> Outcome {
        let mut missing = None;
        for id in vifs.iter() {
            let Some(vnic) = self.owner(link, id) else {
                missing = missing.or(Some(id));
                continue;
            };
            if let Some(vif) = self.vifs.get_mut(&(vnic, link)) {
                vif.uplink = up;
            }
            self.refresh(now, vnic);
        }
        missing.map_or(Ok(Response::LinkState), |id| Err(unknown(id)))
    }

    pub(super) fn owner(&self, link: LinkId, vif: VifId) -> Option<VnicId> {
        self.owners.get(&(link, vif)).copied()
    }

    pub(super) fn send_answer(&mut self, now: u64, answer: Answer) {
        let Some(link) = self.links.get_mut(usize::from(answer.link.0)) else { return };
        // The session that asked may be over; nobody waits for the answer then.
        if link.session.respond(now, answer.id, answer.result).is_err() {
            self.counters.fw_answers_unwanted += 1;
        }
    }
}

fn unknown(vif: VifId) -> Refusal {
    Refusal::with_cause(Status::UNKNOWN_VIF, 0, &format!("no VIF {} here", vif.get()))
}

/// The answer of one who has done nothing.
fn pretend(request: &Request) -> Outcome {
    Ok(match request {
        Request::VifSet { .. } => Response::VifSet,
        Request::VifDelete { .. } => Response::VifDelete,
        Request::ListSet { .. } => Response::ListSet,
        Request::ListMod { .. } => Response::ListMod,
        Request::ListGet { .. } => Response::ListGet { generation: 0, members: Vifs::default(), more: false },
        Request::StatsGet { .. } => Response::StatsGet { counters: Default::default() },
        Request::LinkState { .. } => Response::LinkState,
        Request::Event { .. } => Response::Event,
        Request::VifCreate { .. }
        | Request::VifEnable { .. }
        | Request::VifDisable { .. }
        | Request::Announce { .. } => return Err(Refusal::of(Status::INVALID)),
    })
}
