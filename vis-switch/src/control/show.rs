//! The machine as it is shown.

use super::link::PortKind;
use super::lists::Lists;
use super::veth::Veth;
use super::view::{NamespaceView, PendingView, VethView, VifView};
use super::vif::Vif;
use super::{Control, ControlCounters};
use vntag::VifId;
use vntag::ctl::session::Session;

impl Control {
    /// All vEths, by number.
    pub fn veths(&self) -> impl Iterator<Item = VethView<'_>> {
        self.veths.iter().map(|veth| self.view(veth))
    }

    /// A vEth.
    #[must_use]
    pub fn veth(&self, number: u32) -> Option<VethView<'_>> {
        self.veths.get(number).map(|veth| self.view(veth))
    }

    fn view<'a>(&'a self, veth: &'a Veth) -> VethView<'a> {
        let mut vifs: Vec<VifView<'_>> = veth.vifs.iter().filter_map(|key| self.vif(key.0, key.1)).collect();
        vifs.sort_by_key(|vif| Some((vif.port, vif.vif)) != veth.holder);
        VethView {
            number: veth.number,
            dynamic: veth.is_dynamic(),
            state: &veth.state,
            since: veth.since,
            record: veth.record.as_ref(),
            profile: veth.settings.profile.as_ref(),
            switchport: &veth.settings.switchport,
            uplink_fail: veth.settings.uplink_fail,
            at: veth.fixed.or(veth.holder),
            vifs,
        }
    }

    /// The vNICs that are refused, by port and channel.
    pub fn pending(&self) -> impl Iterator<Item = PendingView<'_>> {
        self.pending.iter().map(|(&(port, channel), row)| PendingView {
            port,
            channel,
            identity: row.asker.identity.as_ref(),
            profile: row.asker.profile.as_deref(),
            vnic: row.asker.vnic.as_deref(),
            vm: row.asker.vm.as_deref(),
            status: row.refused.status,
            cause: &row.refused.why,
            since: row.since,
            tries: row.tries,
        })
    }

    /// The VIFs of a port that negotiates, by id.
    pub fn vifs(&self, port: usize) -> impl Iterator<Item = VifView<'_>> {
        self.link(port)
            .into_iter()
            .flat_map(move |link| link.vifs.iter().map(move |(id, vif)| seen(port, *id, vif)))
    }

    /// A VIF.
    #[must_use]
    pub fn vif(&self, port: usize, vif: VifId) -> Option<VifView<'_>> {
        self.vif_of((port, vif)).map(|this| seen(port, vif, this))
    }

    /// The VIF ids of a port that negotiates.
    #[must_use]
    pub fn namespace(&self, port: usize) -> Option<NamespaceView> {
        let ids = &self.negotiating(port)?.ids;
        Some(NamespaceView { size: ids.size(), used: ids.used(), quarantine: ids.in_quarantine() })
    }

    /// The session of a port that negotiates: state, neighbours, peer, counters.
    #[must_use]
    pub fn session(&self, port: usize) -> Option<&Session> {
        self.negotiating(port).map(|link| &link.session)
    }

    /// The lists of a port that negotiates.
    #[must_use]
    pub fn lists(&self, port: usize) -> Option<&Lists> {
        self.negotiating(port).map(|link| &link.lists)
    }

    fn negotiating(&self, port: usize) -> Option<&super::link::Link> {
        let niv = self.ports.get(port).is_some_and(|port| port.kind == PortKind::Niv);
        self.link(port).filter(|_| niv)
    }

    /// The vEths whose adapters ask for a profile, whether or not another one is typed on them.
    pub fn asking(&self, profile: &str) -> impl Iterator<Item = u32> {
        let asks = move |veth: &&Veth| veth.asked.as_ref().is_some_and(|asked| asked.as_str() == profile);
        self.veths.iter().filter(asks).map(|veth| veth.number)
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &ControlCounters {
        &self.counters
    }

    /// How many things the machine keeps in mind, of all kinds: what tests hold against a bound.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let links = self.ports.iter().filter_map(|port| port.link.as_deref());
        let of_links = links.map(|link| {
            link.inbox.len()
                + link.vifs.len()
                + link.by_claimant.len()
                + link.asked.len()
                + link.tell.len()
                + link.probe.len()
                + usize::from(link.ids.in_quarantine())
        });
        of_links.sum::<usize>()
            + self.veths.len()
            + self.pending.len()
            + self.programs.len()
            + self.answers.len()
            + self.timers.len()
            + self.dirty.len()
            + self.store.len()
            + self.outputs.len()
    }
}

fn seen(port: usize, id: VifId, vif: &Vif) -> VifView<'_> {
    VifView {
        port,
        vif: id,
        veth: vif.veth,
        identity: &vif.claimant.identity,
        channel: vif.claimant.channel,
        state: vif.standing,
        since: vif.since,
    }
}
