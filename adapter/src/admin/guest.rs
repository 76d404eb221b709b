//! What to write on the guest's side: QEMU arguments, libvirt XML.

use super::{Context, named};
use crate::config::Attachment;
use crate::inventory::VnicEntry;
use crate::vhost::LinkSignal;
use niv_node::command::{Args, Refusal, Reply};
use niv_node::doctor::quote;
use niv_node::output::Output;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The socket to connect to, as a path that holds from any folder.
fn socket(vnic: &VnicEntry, args: &Args) -> Result<(PathBuf, bool), Refusal> {
    let Some((socket, client)) = vnic.config.socket() else {
        let name = &vnic.config.name;
        let device = &vnic.config.options.device;
        return Err(
            args.refuse("name", format!("{name} is {device}; only a vhost-user: vNIC is for a guest."))
        );
    };
    Ok((std::path::absolute(&socket).unwrap_or(socket), client))
}

/// The monitor that QEMU has to offer, where the guest's link is signalled by it.
fn monitor(vnic: &VnicEntry) -> Option<PathBuf> {
    match &vnic.config.attachment {
        Attachment::Negotiated { link_signal: LinkSignal::Qmp(path), .. } => {
            Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        }
        _ => None,
    }
}

/// `vnic qemu NAME`.
pub(super) fn qemu(adapter: &mut Context, args: &Args) -> Result<Reply, Refusal> {
    let vnic = &*named(adapter, args)?.entry;
    let (socket, client) = socket(vnic, args)?;
    let id = &vnic.config.name;
    let path = escape_qemu(&socket);
    // QEMU connects and, when the adapter restarts, connects again; or it listens, where the adapter is the client.
    let way = if client { "server=on,wait=off" } else { "reconnect=1" };
    let queues =
        if vnic.config.queues > 1 { format!(",queues={}", vnic.config.queues) } else { String::new() };
    let device_queues = if vnic.config.queues > 1 {
        format!(",mq=on,vectors={}", 2 * vnic.config.queues + 2)
    } else {
        String::new()
    };
    let mac = format!(",mac={}", vnic.identity.mac);
    let packed = if vnic.config.packed { ",packed=on" } else { "" };
    let memory = [
        "-object".to_owned(),
        "memory-backend-memfd,id=mem,size=512M,share=on".to_owned(),
        "-machine".to_owned(),
        "q35,memory-backend=mem".to_owned(),
        "-m".to_owned(),
        "512M".to_owned(),
    ];
    let mut nic = vec![
        "-chardev".to_owned(),
        format!("socket,id=char-{id},path={path},{way}"),
        "-netdev".to_owned(),
        format!("vhost-user,id=net-{id},chardev=char-{id}{queues}"),
        "-device".to_owned(),
        format!("virtio-net-pci,netdev=net-{id}{mac}{device_queues}{packed}"),
    ];
    if let Some(monitor) = monitor(vnic) {
        nic.extend(["-qmp".to_owned(), format!("unix:{},server=on,wait=off", escape_qemu(&monitor))]);
    }
    let lines = |arguments: &[String]| {
        let pairs: Vec<String> = arguments
            .chunks(2)
            .map(|pair| pair.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "))
            .collect();
        pairs.join(" \\\n")
    };
    let text = format!(
        "# Once for each guest: memory that the adapter can share; the two sizes are alike.\n{}\n\
         # For {id}:\n{}\n\
         # Without KVM, QEMU before 8.0 crashes on vhost-user interrupts: add ,vectors=0 to the -device.\n",
        lines(&memory),
        lines(&nic),
    );
    Ok(Output::prose(text, json!({ "memory": memory, "vnic": nic })).into())
}

/// `vnic libvirt NAME`.
pub(super) fn libvirt(adapter: &mut Context, args: &Args) -> Result<Reply, Refusal> {
    let vnic = &*named(adapter, args)?.entry;
    let (socket, client) = socket(vnic, args)?;
    let path = escape_xml(&socket.to_string_lossy());
    // libvirt's mode is the guest's: it is the client where the adapter listens.
    let source = if client {
        format!("  <source type='unix' path='{path}' mode='server'/>\n")
    } else {
        format!(
            "  <source type='unix' path='{path}' mode='client'>\n    <reconnect enabled='yes' timeout='1'/>\n  </source>\n"
        )
    };
    let mac = format!("  <mac address='{}'/>\n", vnic.identity.mac);
    let pairs =
        if vnic.config.queues > 1 { format!(" queues='{}'", vnic.config.queues) } else { String::new() };
    let packed = if vnic.config.packed { " packed='on'" } else { "" };
    let queues = if pairs.is_empty() && packed.is_empty() {
        String::new()
    } else {
        format!("  <driver{pairs}{packed}/>\n")
    };
    let memory = "<memoryBacking>\n  <source type='memfd'/>\n  <access mode='shared'/>\n</memoryBacking>\n";
    let interface = format!(
        "<interface type='vhostuser'>\n{mac}{source}  <model type='virtio'/>\n{queues}</interface>\n"
    );
    let mut text = format!(
        "<!-- in <domain>, once: memory that the adapter can share -->\n{memory}<!-- in <devices>, for {} -->\n{interface}",
        vnic.config.name
    );
    let mut parts = json!({ "memoryBacking": memory, "interface": interface });
    if let Some(monitor) = monitor(vnic) {
        let value = escape_xml(&format!("unix:{},server=on,wait=off", escape_qemu(&monitor)));
        let arguments = format!(
            "<qemu:commandline>\n  <qemu:arg value='-qmp'/>\n  <qemu:arg value='{value}'/>\n</qemu:commandline>\n"
        );
        let schema = "http://libvirt.org/schemas/domain/qemu/1.0";
        text += &format!("<!-- in <domain xmlns:qemu='{schema}'> -->\n{arguments}");
        parts["commandline"] = arguments.into();
    }
    Ok(Output::prose(text, parts).into())
}

/// In a QEMU option a comma is written twice.
fn escape_qemu(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}
