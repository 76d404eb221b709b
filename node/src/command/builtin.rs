//! What every table knows beside its own commands.

use super::{Args, CONFIG, Command, EXEC, Refusal, Reply};

/// Words that may begin a line of configuration, and their help.
pub(super) const CONFIG_WORDS: [(&str, &str); 6] = [
    ("default", "Set to its default"),
    ("do", "Run a line of the exec prompt"),
    ("end", "Leave configuration"),
    ("exit", "Leave this mode"),
    ("no", "Negate a command or set its defaults"),
    ("show", "Show running system information"),
];

/// Help of words that built-in commands share.
pub(super) const WORDS: [(&str, &str); 1] = [("terminal", "The screen, which is left alone")];

/// Commands of the exec prompt, as a Nexus has them.
pub(super) fn commands<C>(configures: bool) -> Vec<Command<C>> {
    let mut commands = vec![
        // Sent by every tool that logs in; answers are never cut into pages or lines.
        Command::new(EXEC, "terminal length <lines:0-511>", "Accepted; there are no pages", accepted)
            .only_shows(),
        Command::new(EXEC, "terminal width <columns:24-511>", "Accepted; lines are not cut", accepted)
            .only_shows(),
    ];
    if configures {
        let configure = Command::new(EXEC, "configure [terminal]", "Configure from this terminal", accepted);
        commands.push(configure.enters(CONFIG));
    }
    commands
}

fn accepted<C>(_: &mut C, _: &Args) -> Result<Reply, Refusal> {
    Ok(Reply::Done)
}
