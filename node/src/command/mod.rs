//! The command table: one list of commands drives the parser, `?` help, completion, `configure` and the docs.
//!
//! A daemon describes each command by its mode, its syntax, one line of help and a function:
//!
//! ```
//! use niv_node::command::{Args, CONFIG, Command, EXEC, Mode, Refusal, Reply, Table};
//! use niv_node::output::Output;
//!
//! const CONFIG_IF: Mode = Mode::new("config-if");
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
//!             Ok(Reply::Done)
//!         })
//!         .enters(CONFIG_IF),
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
//! there is tried in the modes around it, as on any Cisco device.
//!
//! **What every table knows.** `!` (a comment), `exit`, `end`, `?`; in configuration `no LINE`, `default LINE`
//! ([`ByDefault`]) and `do LINE`; at the exec prompt `help`, `configure terminal`, `terminal length|width`, and pipes
//! behind any line: `show vlan | include web`.
//!
//! **Transactions.** The table runs commands against whatever context it is given. A daemon gives
//! [`Table::configure`] a *candidate*, a copy of its configuration, and commits that when all lines were accepted;
//! so a text applies whole or not at all.

mod args;
mod builtin;
mod error;
mod help;
mod input;
mod language;
mod pipe;
mod run;
mod syntax;
mod tree;

pub use args::{Args, Form, Value};
pub use error::{CommandError, ErrorKind, Refusal};
pub use help::{CommandInfo, Hint, page};
pub use language::{Language, Place, Understood, Wanted};
pub use run::Cursor;
pub use syntax::Kind;

use crate::output::Output;
use tree::Tree;

/// Where a command is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mode {
    name: &'static str,
    prompt: &'static str,
}

impl Mode {
    /// The mode of this name, which the prompt shows: `config-if` is `switch(config-if)#`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, prompt: name }
    }

    /// The prompt shows this instead: of several modes the same.
    #[must_use]
    pub const fn prompt_as(self, prompt: &'static str) -> Self {
        Self { prompt, ..self }
    }

    /// Its name, which no other mode has.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What the prompt shows.
    #[must_use]
    pub const fn prompt(self) -> &'static str {
        self.prompt
    }
}

/// Show and act; nothing here changes configuration.
pub const EXEC: Mode = Mode::new("exec");

/// Global configuration.
pub const CONFIG: Mode = Mode::new("config");

/// What a command says when it is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done.
    Done,
    /// Done, and this is the answer or a note.
    Output(Output),
}

impl From<Output> for Reply {
    fn from(output: Output) -> Self {
        Self::Output(output)
    }
}

/// The function behind a command.
pub type Run<C> = fn(&mut C, &Args) -> Result<Reply, Refusal>;

/// What `default` before a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByDefault {
    /// The same as `no`; so it is unless a command says otherwise.
    No,
    /// The same as the line itself: of what is on by default.
    Line,
    /// Something else: what may follow `default`. The function sees [`Form::Default`].
    Own(&'static str),
    /// Nothing; it is refused.
    Nothing,
}

/// One line of the table.
pub struct Command<C> {
    mode: Mode,
    syntax: &'static str,
    no: Option<&'static str>,
    by_default: ByDefault,
    enters: Option<Mode>,
    help: &'static str,
    changes: bool,
    run: Run<C>,
}

impl<C> Command<C> {
    /// A command of `mode`; `help` is one line that starts with a capital and has no full stop.
    #[must_use]
    pub const fn new(mode: Mode, syntax: &'static str, help: &'static str, run: Run<C>) -> Self {
        let changes = !matches!(syntax.as_bytes(), [b's', b'h', b'o', b'w', b' ', ..]);
        Self { mode, syntax, no: None, by_default: ByDefault::No, enters: None, help, changes, run }
    }

    /// It only shows something, although it does not begin with `show`: those who may only look may use it.
    #[must_use]
    pub const fn only_shows(mut self) -> Self {
        self.changes = false;
        self
    }

    /// What may follow `no`; most often the syntax with its last parameter optional.
    #[must_use]
    pub const fn no(mut self, syntax: &'static str) -> Self {
        self.no = Some(syntax);
        self
    }

    /// What `default` does, if not the same as `no`.
    #[must_use]
    pub const fn by_default(mut self, what: ByDefault) -> Self {
        self.by_default = what;
        self
    }

    /// The lines that follow the command belong to this mode. What they are about is kept by the context.
    #[must_use]
    pub const fn enters(mut self, mode: Mode) -> Self {
        self.enters = Some(mode);
        self
    }

    /// What may follow a form's word.
    fn syntax_of(&self, form: Form) -> Option<&'static str> {
        match (form, self.by_default) {
            (Form::Plain, _) | (Form::Default, ByDefault::Line) => Some(self.syntax),
            (Form::No, _) | (Form::Default, ByDefault::No) => self.no,
            (Form::Default, ByDefault::Own(syntax)) => Some(syntax),
            (Form::Default, ByDefault::Nothing) => None,
        }
    }

    /// The form that the function sees.
    fn form_of(&self, form: Form) -> Form {
        match (form, self.by_default) {
            (Form::Default, ByDefault::No) => Form::No,
            (Form::Default, ByDefault::Line) => Form::Plain,
            (form, _) => form,
        }
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
    pub fn new(mut commands: Vec<Command<C>>, words: &'static [(&'static str, &'static str)]) -> Self {
        let configures = commands.iter().any(|command| command.mode != EXEC);
        commands.extend(builtin::commands(configures));
        let mut tree = Tree::default();
        for (id, command) in commands.iter().enumerate() {
            for form in [Form::Plain, Form::No, Form::Default] {
                // What is done at the exec prompt cannot be taken back.
                if let Some(syntax) =
                    command.syntax_of(form).filter(|_| form == Form::Plain || command.mode != EXEC)
                {
                    tree.insert(command.mode, form, syntax, id);
                }
            }
        }
        Self { commands, tree, words }
    }
}

#[cfg(test)]
mod tests;
