//! The startup configuration, checkpoints, and what is different between them and the running configuration.

use super::{Answer, Session};
use crate::config::difference;
use crate::config::running::Description;
use crate::switch::saved::{CheckpointName, Known};
use niv_node::command::{Args, Command, EXEC, Refusal, Reply};
use niv_node::output::{Column, Grid, Output};
use serde_json::{Value, json};

pub(super) fn commands() -> Vec<Command<Session>> {
    vec![
        Command::new(
            EXEC,
            "copy running-config startup-config",
            "Make the running configuration the startup configuration",
            copy,
        ),
        Command::new(EXEC, "write erase", "Forget the startup configuration", erase),
        Command::new(EXEC, "reload", "Go back to the startup configuration", reload),
        Command::new(
            EXEC,
            "checkpoint [<name:word>] [description <text:line>]",
            "Keep the running configuration under a name",
            checkpoint,
        ),
        Command::new(EXEC, "no checkpoint <name:word>", "Remove a checkpoint", no_checkpoint),
        Command::new(
            EXEC,
            "rollback running-config checkpoint <name:word> [atomic]",
            "Make a checkpoint the running configuration",
            rollback,
        ),
        Command::new(EXEC, "show startup-config", "The configuration that reload goes back to", startup),
        Command::new(
            EXEC,
            "show checkpoint [{summary|<name:word>}]",
            "Checkpoints, or one of them",
            checkpoints,
        ),
        Command::new(EXEC, "show diff", "What is not in the startup configuration", unsaved),
        Command::new(EXEC, "show running-config diff", "What is not in the startup configuration", unsaved),
        Command::new(
            EXEC,
            "show diff rollback-patch {running-config|startup-config|checkpoint <from:word>} \
             {running-config|startup-config|checkpoint <to:word>}",
            "Lines that turn one configuration into another",
            patch,
        ),
    ]
}

fn name(args: &Args, parameter: &str) -> Result<CheckpointName, Refusal> {
    let most = CheckpointName::MAX;
    CheckpointName::new(args.text(parameter)).ok_or_else(|| {
        let message = format!(
            "The name of a checkpoint has 1 to {most} printing ASCII characters; blank, ? and | are none of them."
        );
        args.refuse(parameter, message)
    })
}

fn lines(session: &Session, which: &Known) -> Result<String, Refusal> {
    let lines = session.switch.lines_of(which).map_err(|error| Refusal::new(error.message))?;
    Ok(lines.to_string())
}

fn of_text(text: String) -> Reply {
    let value = Value::from(text.clone());
    Output::prose(text, value).into()
}

fn copy(session: &mut Session, _: &Args) -> Answer {
    session.switch.save_startup().map_err(|error| Refusal::new(error.message))?;
    Ok(Output::message("Copy complete.").into())
}

fn erase(session: &mut Session, _: &Args) -> Answer {
    session.switch.erase_startup().map_err(|error| Refusal::new(error.message))?;
    Ok(Reply::Done)
}

fn reload(session: &mut Session, _: &Args) -> Answer {
    let done = session.switch.reload().map_err(|error| Refusal::new(error.message))?;
    let (mut text, unsaved) = done.unsaved;
    if let Some(checkpoint) = &done.checkpoint {
        text = format!("This was not saved; checkpoint {checkpoint} has it:\n{text}");
    }
    for error in &done.left_out {
        text.push_str(&format!("Left out of the startup configuration: {error}\n"));
    }
    if text.is_empty() {
        return Ok(Reply::Done);
    }
    let left_out: Vec<String> = done.left_out.iter().map(ToString::to_string).collect();
    let checkpoint = done.checkpoint.map(|name| name.to_string());
    let value = json!({ "unsaved": unsaved, "checkpoint": checkpoint, "left_out": left_out });
    Ok(Output::prose(text, value).into())
}

fn checkpoint(session: &mut Session, args: &Args) -> Answer {
    let wanted = if args.get("name").is_some() { Some(name(args, "name")?) } else { None };
    let description = match args.get_text("text") {
        Some(text) => Some(Description::new(text).ok_or_else(|| {
            args.refuse("text", format!("A description has at most {} characters.", Description::MAX))
        })?),
        None => None,
    };
    let given = wanted.is_some();
    let made = session.switch.checkpoint(wanted, description).map_err(|error| Refusal::new(error.message))?;
    Ok(if given { Reply::Done } else { Output::message(format!("{made} created.")).into() })
}

fn no_checkpoint(session: &mut Session, args: &Args) -> Answer {
    let name = name(args, "name")?;
    session.switch.remove_checkpoint(&name).map_err(|error| args.refuse("name", error.message))?;
    Ok(Reply::Done)
}

fn rollback(session: &mut Session, args: &Args) -> Answer {
    let name = name(args, "name")?;
    let (text, value) = session.switch.rollback(&name).map_err(|error| args.refuse("name", error.message))?;
    let text = if text.is_empty() { "Nothing was different.\n".to_owned() } else { text };
    Ok(Output::prose(text, value).into())
}

fn startup(session: &mut Session, _: &Args) -> Answer {
    Ok(of_text(lines(session, &Known::Startup)?))
}

fn checkpoints(session: &mut Session, args: &Args) -> Answer {
    if args.get("name").is_some() {
        let name = name(args, "name")?;
        let lines = session.switch.lines_of(&Known::Checkpoint(name));
        return lines
            .map(|lines| of_text(lines.to_string()))
            .map_err(|error| args.refuse("name", error.message));
    }
    let columns = [
        Column::left("name", "Name"),
        Column::left("created", "Created"),
        Column::right("lines", "Lines"),
        Column::left("description", "Description"),
    ];
    let mut grid = Grid::new(columns);
    let checkpoints = session.switch.state().saved.checkpoints.clone();
    for (name, made) in &checkpoints {
        let lines = made.lines.lines().filter(|line| !line.starts_with('!')).count();
        grid.row([
            name.as_str().into(),
            made.created.as_str().into(),
            lines.into(),
            made.description.as_deref().into(),
        ]);
    }
    Ok(Output::from(grid).into())
}

fn unsaved(session: &mut Session, _: &Args) -> Answer {
    let (text, value) =
        difference::changes(&lines(session, &Known::Startup)?, &lines(session, &Known::Running)?);
    let text = if text.is_empty() { "Nothing is unsaved.\n".to_owned() } else { text };
    Ok(Output::prose(text, value).into())
}

fn patch(session: &mut Session, args: &Args) -> Answer {
    // Each of the two is one keyword behind `rollback-patch`, in their order.
    let mut known = Vec::new();
    let mut names = ["from", "to"].into_iter();
    for keyword in args.keywords().iter().skip_while(|word| **word != "rollback-patch").skip(1) {
        let parameter = names.next().unwrap_or("to");
        known.push(match *keyword {
            "running-config" => Known::Running,
            "startup-config" => Known::Startup,
            _ => Known::Checkpoint(name(args, parameter)?),
        });
    }
    let [from, to] = known.as_slice() else { return Err(Refusal::new("Two configurations are compared.")) };
    let text = difference::patch(&lines(session, from)?, &lines(session, to)?);
    if text.is_empty() {
        return Ok(Output::prose("!They are the same.\n", Value::from("")).into());
    }
    Ok(of_text(text))
}
