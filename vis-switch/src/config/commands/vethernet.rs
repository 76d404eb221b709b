//! `interface vethernet`

use super::{CONFIG_VETH, Candidate, Done, number, port, vethernets};
use crate::config::running::{Binding, PortMode, Vethernet};
use niv_node::command::{Args, Command, Reply};
use vntag::ethernet::Mac;

pub(super) fn commands<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(
            CONFIG_VETH,
            "bind interface ethernet <port:port> channel <channel:1-65535>",
            "Channel of an NIV link that is this interface",
            bind_channel,
        )
        .no("bind interface [ethernet <port:port> channel <channel:1-65535>]"),
        Command::new(
            CONFIG_VETH,
            "bind mac <mac:mac>",
            "Address of the vNIC that is this interface",
            bind_mac,
        )
        .no("bind mac [<mac:mac>]"),
    ]
}

fn bind_channel<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let binding = match number(args, "channel") {
        Some(channel) => Some(Binding::Channel { port: port(args)?, channel }),
        None => None,
    };
    // What is wrong is the channel, unless the port is none that has channels.
    let link = binding.and_then(Binding::port).and_then(|port| context.config().ethernets().get(&port));
    let at = if link.is_some_and(|link| link.mode() == PortMode::Vntag) { "channel" } else { "port" };
    bind(context, args, binding, at, |present| matches!(present, Binding::Channel { .. }))
}

fn bind_mac<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let binding = args.get_mac("mac").map(|mac| Binding::Mac(Mac(mac)));
    bind(context, args, binding, "mac", |present| matches!(present, Binding::Mac(_)))
}

/// Binds what is selected, or takes a binding off: `binding`, or any of its kind where that is `None`. A refusal points
/// `at` this parameter.
fn bind<C: Candidate>(
    context: &mut C,
    args: &Args,
    binding: Option<Binding>,
    at: &str,
    of_kind: fn(Binding) -> bool,
) -> Done {
    let numbers = vethernets(context)?;
    let config = context.config();
    for number in numbers {
        let wanted = if args.negated() {
            let present = config.vethernets().get(&number).and_then(Vethernet::binding);
            if binding.is_some() && binding != present {
                let message = format!("Interface vethernet {number} is not bound there.");
                return Err(args.refuse(at, message));
            }
            present.filter(|present| !of_kind(*present))
        } else {
            binding
        };
        config.bind(number, wanted).map_err(|rule| args.refuse(at, rule.to_string()))?;
    }
    Ok(Reply::Done)
}
