//! The command table: one list of commands drives the parser, `?` help, completion, `configure` and the docs.
//!
//! A daemon describes each command by its mode, its syntax, one line of help and a function:
//!
//! ```
//! use niv_node::command::{Args, CONFIG, Command, EXEC, Mode, Refusal, Reply, Table};
//! use niv_node::output::Output;
//!
//! const CONFIG_IF: Mode = Mode("config-if");
//!
//! #[derive(Default)]
//! struct Switch { interface: u64, vlan: u64 }
//!
//! let table = Table::new(
//!     vec![
//!         Command::new(EXEC, "show vlan", "VLAN of the interface", |switch: &mut Switch, _| {
//!             Ok(Output::message(format!("vlan {}", switch.vlan)).into())
//!         }),
//!         Command::new(CONFIG, "interface vethernet <n:1-1048575>", "Virtual interface", |switch: &mut Switch, args| {
//!             switch.interface = args.number("n");
//!             Ok(Reply::Enter(CONFIG_IF))
//!         }),
//!         Command::new(CONFIG_IF, "switchport access vlan <vlan:1-4094>", "VLAN of an access port", |switch: &mut Switch, args| {
//!             switch.vlan = if args.negated() { 1 } else { args.number("vlan") };
//!             Ok(Reply::Done)
//!         })
//!         .no("switchport access vlan [<vlan:1-4094>]"),
//!     ],
//!     &[("show", "Show running system information")],
//! );
//!
//! let mut switch = Switch::default();
//! table.configure(&mut switch, "int veth1\n sw acc vlan 10\n").unwrap();
//! assert_eq!(table.exec(&mut switch, "sh vl").unwrap().to_string(), "vlan 10\n");
//!
//! let error = table.configure(&mut switch, "interface veth 1\n switchport acess vlan 10").unwrap_err();
//! assert_eq!((error.line, error.column), (Some(2), 13));
//! ```
//!
//! **Syntax.** Keywords, `<name:kind>` parameters (see [`Kind`]), `[optional]` parts and `{one|of|these}`.
//! In input, keywords may be shortened to any prefix that fits no other keyword at that place, and a number may
//! follow its keyword without a blank (`veth1`, `ethernet1/1`). In configuration modes a line that means nothing
//! there is tried in the modes around it, as on any Cisco device; `exit`, `end` and `!` are known everywhere.
//!
//! **Transactions.** The table runs commands against whatever context it is given. A daemon gives
//! [`Table::configure`] a *candidate*, a copy of its configuration, and commits that when all lines were accepted;
//! so a text applies whole or not at all.

mod args;
mod error;
mod help;
mod input;
mod run;
mod syntax;
mod tree;

pub use args::{Args, Value};
pub use error::{CommandError, ErrorKind, Refusal};
pub use help::{CommandInfo, Hint};
pub use run::Cursor;
pub use syntax::Kind;

use crate::output::Output;
use tree::Tree;

/// Where a command is known, named as in the prompt: `config-if` is `switch(config-if)#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mode(pub &'static str);

/// Show and act; nothing here changes configuration.
pub const EXEC: Mode = Mode("exec");

/// Global configuration.
pub const CONFIG: Mode = Mode("config");

/// What a command says when it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done.
    Done,
    /// Done, and this is the answer or a note.
    Output(Output),
    /// The lines that follow belong to this mode. What it is about is kept by the context.
    Enter(Mode),
}

impl From<Output> for Reply {
    fn from(output: Output) -> Self {
        Self::Output(output)
    }
}

/// The function behind a command.
pub type Run<C> = fn(&mut C, &Args) -> Result<Reply, Refusal>;

/// One line of the table.
pub struct Command<C> {
    mode: Mode,
    syntax: &'static str,
    no: Option<&'static str>,
    help: &'static str,
    run: Run<C>,
}

impl<C> Command<C> {
    /// A command of `mode`; `help` is one line that starts with a capital and has no full stop.
    #[must_use]
    pub const fn new(mode: Mode, syntax: &'static str, help: &'static str, run: Run<C>) -> Self {
        Self { mode, syntax, no: None, help, run }
    }

    /// What may follow `no`; most often the syntax with its last parameter optional.
    #[must_use]
    pub const fn no(mut self, syntax: &'static str) -> Self {
        self.no = Some(syntax);
        self
    }
}

/// All commands of a daemon over its context `C`.
pub struct Table<C> {
    commands: Vec<Command<C>>,
    tree: Tree,
    words: &'static [(&'static str, &'static str)],
}

impl<C> Table<C> {
    /// The table of these commands. `words` is the help of keywords that several commands share (`show`,
    /// `interface`); a keyword of one command only has that command's help.
    ///
    /// # Panics
    /// A syntax cannot be read, or two commands have the same one. Both are mistakes in the daemon's source, which
    /// its first test finds.
    #[must_use]
    pub fn new(commands: Vec<Command<C>>, words: &'static [(&'static str, &'static str)]) -> Self {
        let mut tree = Tree::default();
        for (id, command) in commands.iter().enumerate() {
            tree.insert(command.mode, false, command.syntax, id);
            if let Some(no) = command.no {
                tree.insert(command.mode, true, no, id);
            }
        }
        Self { commands, tree, words }
    }
}

#[cfg(test)]
mod tests;
