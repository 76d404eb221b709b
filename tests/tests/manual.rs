//! The manual pages and completion files of `cargo lab man`: they have no mistake, and what a program or a file knows
//! is on its page.
//!
//! A program that is missing is named, and the test passes; with `CI=true` it fails.

#![allow(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use clap::Command as Cli;
use niv_adapter::config::AdapterConfig;
use niv_lab::lab::man;
use niv_node::command::{CommandInfo, EXEC};
use niv_node::config::File;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use vis_switch::config::chassis::Chassis;

struct Manual {
    folder: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Manual {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = man::write(folder.path()).unwrap();
        Self { folder, files }
    }

    fn pages(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path).filter(|file| file.starts_with("man"))
    }

    /// A page as it is read, with one blank between words and nothing cut at the end of a line.
    fn read(&self, file: &str) -> String {
        let output = self.run("groff", &["-man", "-Tascii", "-P-cbou", "-rHY=0", "-rLL=500n", file]);
        assert!(output.status.success(), "{file}");
        String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn run(&self, program: &str, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("HOME", self.folder.path()).output().unwrap()
    }
}

/// Whether a test must be left out because a program is missing.
fn left_out(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join(program).exists()) {
        return false;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
    println!("skipped: {program} is missing");
    true
}

#[test]
fn no_page_has_a_mistake_and_each_is_known_by_its_name() {
    if left_out("groff") {
        return;
    }
    let manual = Manual::write();
    for page in manual.pages() {
        let file = page.to_str().unwrap();
        let output = manual.run("groff", &["-man", "-ww", "-Tutf8", file]);
        assert!(output.status.success(), "{file}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{file}");
        let (name, section) = page.file_name().unwrap().to_str().unwrap().rsplit_once('.').unwrap();
        assert_eq!(page.parent().unwrap(), Path::new(&format!("man/man{section}")));
        let text = manual.read(file);
        // What mandb finds a page by.
        assert!(text.contains(&format!(" NAME {name} - ")), "{file}: {text}");
        assert!(text.contains(" SEE ALSO "), "{file}");
    }
    // Each page that another one names is there.
    let names: BTreeSet<String> = manual
        .pages()
        .map(|page| page.file_name().unwrap().to_str().unwrap())
        .map(|name| name.rsplit_once('.').map(|(name, section)| format!("{name}({section})")).unwrap())
        .collect();
    let ours =
        |word: &&str| ["nivctl", "nivsh", "vntag", "vis-", "niv-"].iter().any(|name| word.starts_with(name));
    for page in manual.pages() {
        let text = manual.read(page.to_str().unwrap());
        let words = text.split([' ', ',', ';']).filter_map(|word| Some(word.split_once(')')?.0)).filter(ours);
        for named in words.filter(|word| word.ends_with(|c: char| c.is_ascii_digit()) && word.contains('(')) {
            assert!(names.contains(&format!("{named})")), "{}: {named})", page.display());
        }
    }
    for page in
        ["man1/nivctl.1", "man1/nivctl-capture.1", "man1/nivsh.1", "man8/vis-switch.8", "man8/niv-adapter.8"]
    {
        assert!(manual.pages().any(|file| file == Path::new("man").join(page)), "{page}");
    }
}

/// The words with hyphens in front, and the arguments' and commands' names, in a program's help.
fn of_help(cli: &mut Cli) -> BTreeSet<String> {
    let help = cli.render_long_help().to_string();
    let options = help.split_whitespace().filter(|word| word.starts_with('-') && word.len() > 1);
    let mut found: BTreeSet<String> =
        options.map(|word| word.trim_end_matches([',', '.', ';', ')']).to_owned()).collect();
    found.extend(
        cli.get_positionals()
            .flat_map(|known| known.get_value_names().unwrap_or_default())
            .map(ToString::to_string),
    );
    found
}

#[test]
fn what_a_help_has_is_on_the_page() {
    if left_out("groff") {
        return;
    }
    let manual = Manual::write();
    let mut options = 0;
    for mut program in man::programs() {
        program = program.disable_help_subcommand(true);
        program.build();
        let section = if ["vis-switch", "niv-adapter"].contains(&program.get_name()) { 8 } else { 1 };
        let page = |cli: &mut Cli| {
            let name = cli.get_display_name().unwrap_or(cli.get_name()).to_owned();
            let text = manual.read(&format!("man/man{section}/{name}.{section}"));
            let about = cli.get_about().unwrap().to_string();
            assert!(text.contains(&about), "{name}: {about}");
            for word in of_help(cli) {
                assert!(text.contains(&word), "{name} lacks {word}: {text}");
            }
            text
        };
        let text = page(&mut program);
        options += of_help(&mut program).len();
        for subcommand in program.get_subcommands_mut().filter(|known| !known.is_hide_set()) {
            let name = subcommand.get_name().to_owned();
            page(subcommand);
            assert!(text.contains(&format!("-{name}({section})")), "{name}: {text}");
        }
    }
    assert!(options > 10, "{options}");
}

/// The syntax of commands as a page has it: parameters by their names.
fn plain(syntax: &str) -> String {
    let parts = syntax.split('<').map(|part| match part.split_once('>') {
        Some((parameter, behind)) => format!("{}{behind}", parameter.split(':').next().unwrap()),
        None => part.to_owned(),
    });
    parts.collect()
}

#[test]
fn the_command_tables_are_on_the_pages() {
    if left_out("groff") {
        return;
    }
    let manual = Manual::write();
    let config = manual.read("man/man7/vis-config.7");
    let tables: [(&str, Vec<CommandInfo>); 2] = [
        ("man/man8/vis-switch.8", vis_switch::admin::table().commands()),
        ("man/man8/niv-adapter.8", niv_adapter::admin::table().commands()),
    ];
    for (page, commands) in tables {
        let text = manual.read(page);
        for command in commands {
            let (page, syntax) = match command.mode == EXEC.name() {
                true => (&text, plain(&command.syntax)),
                false => (&config, command.syntax.clone()),
            };
            assert!(page.contains(&syntax), "{syntax}: {page}");
        }
    }
}

/// The keys that a section knows, by what it says to one that it does not know.
fn known_keys(section: &str, read: impl Fn(&File) -> String) -> Vec<String> {
    let text = match section.split_once(' ') {
        Some((header, key)) => format!("{header}\n{key} = {{ qqqqqqqq = 1 }}\n"),
        None => format!("{section}\nqqqqqqqq = 1\n"),
    };
    let said = read(&File::new("file.toml", text));
    let (_, known) = said.split_once("(known: ").unwrap_or_else(|| panic!("{section}: {said}"));
    known.trim_end().trim_end_matches(')').split(", ").map(str::to_owned).collect()
}

#[test]
fn each_key_of_a_file_is_on_its_page() {
    if left_out("groff") {
        return;
    }
    let manual = Manual::write();
    let switch = |file: &File| Chassis::from_file(file).map(drop).unwrap_err().to_string();
    let adapter = |file: &File| AdapterConfig::from_file(file).map(drop).unwrap_err().to_string();
    let check = |page: &str, keys: Vec<String>| {
        let text = manual.read(page);
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        for key in keys {
            assert!(words.contains(key.as_str()), "{page} lacks {key}");
        }
    };
    for section in ["[node]", "[[port]]", "[[port]] fault"] {
        check("man/man5/vis-switch.toml.5", known_keys(section, switch));
    }
    for section in
        ["[node]", "[firmware]", "[firmware] fault", "[[link]]", "[[link]] fault", "[[vnic]]", "[[list]]"]
    {
        check("man/man5/niv-adapter.toml.5", known_keys(section, adapter));
    }
}

#[test]
fn each_shell_reads_its_completion_files() {
    let manual = Manual::write();
    let programs = man::programs().len();
    for (shell, begin) in [("bash", "bash-completion"), ("zsh", "zsh"), ("fish", "fish")] {
        if left_out(shell) {
            continue;
        }
        let files: Vec<&PathBuf> = manual.files.iter().filter(|file| file.starts_with(begin)).collect();
        assert_eq!(files.len(), programs, "{shell}");
        for file in files {
            let output = manual.run(shell, &["-n", file.to_str().unwrap()]);
            assert!(output.status.success(), "{}", file.display());
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", file.display());
        }
    }
}
