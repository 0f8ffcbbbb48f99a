//! `chandler chat`

use std::{
    io::{self, BufRead, IsTerminal, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use engine::{chat::ChatSource, kernel::on_pool};
use recipe::{CommandLine, Group, Recipe, arguments};
use signal_hook::{consts::SIGINT, iterator::Signals};
use wire::{ChatMessage, Sampling};

use super::{
    CliError, complain,
    words::{self, NotUnderstood, Words},
};
use crate::chat::{self, Model};

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "chandler chat [RECIPE] [KEY=VALUE]... [--key value]...",
    arg_required_else_help = true,
    after_help = format!("{EXAMPLES}\n\n{}", flags())
)]
pub(super) struct Args {
    /// A recipe that names model, adapter and template, and arguments that win over it
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  chandler chat --model models/wick
  chandler chat --model models/wick --adapter out --system 'Be brief.' temperature=0
  chandler chat recipe.yaml --max_new_tokens 200";

/// What a chat takes that says otherwise in a run.
const FLAGS: &str = "\
Arguments:
  --model
          Model folder, .gguf file, or a model's name on a hub (owner/name)
  --adapter
          Adapter folder; several are applied one on the other
  --template
          How prompts are written [default: the model's own chat template]
  --system
          What the model is told before the conversation
  --enable_thinking
          Whether a model that can think shall (true or false)
  --use_cpu
          Runs on the CPU even where there is an accelerator (true or false)
  --seed
          Makes answers repeatable (a whole number)
";

fn flags() -> String {
    let generating = arguments().iter().filter(|argument| argument.group == Group::Generating);
    format!("{FLAGS}{}", words::listed(generating)).trim_end().to_owned()
}

/// The recipe's, apart from what only the command line can ask for.
fn sampling(line: &CommandLine, recipe: &Recipe) -> Sampling {
    // A temperature on the command line asks for sampling, whatever the recipe says.
    let asked = line.gives("temperature") && !line.gives("do_sample");
    Sampling {
        do_sample: recipe.temperature > 0.0 && (recipe.do_sample || asked),
        // A recipe's seed is its training's.
        seed: line.gives("seed").then_some(recipe.seed),
        ..recipe.sampling()
    }
}

fn source(line: &CommandLine, recipe: &Recipe) -> ChatSource {
    // A default says nothing of a model for which there is no recipe.
    let said = |key: &str| line.recipe.is_some() || line.gives(key);
    ChatSource {
        model: PathBuf::from(&recipe.model_name_or_path),
        revision: said("model_revision").then(|| recipe.model_revision.clone()),
        adapters: recipe.adapter_name_or_path.iter().map(PathBuf::from).collect(),
        template: recipe.template.clone(),
        enable_thinking: recipe.enable_thinking.filter(|_| said("enable_thinking")),
        use_cpu: recipe.use_cpu,
        tokens: recipe.tokens.clone(),
        cache: None,
    }
}

/// The recipe that the words make, which names a model.
fn read(words: &[String]) -> Result<(CommandLine, Recipe), CliError> {
    let named = CommandLine::parse(words).ok().and_then(|line| line.recipe);
    if named.as_deref() == Some("-") {
        let message = "a chat has standard input for itself; give the recipe as a file";
        return Err(NotUnderstood(message.to_owned()).into());
    }
    if let Some(model) = named.filter(|named| Path::new(named).is_dir() || named.ends_with(".gguf")) {
        return Err(NotUnderstood(format!(
            "{model} is no recipe; to talk to a model, write --model {model}"
        ))
        .into());
    }
    let words = Words::read(words)?;
    let recipe = words.line.to_recipe(&words.text).map_err(|problems| words.refusal(&problems))?;
    if recipe.model_name_or_path.trim().is_empty() {
        return Err("name a model: --model PATH, or `model_name_or_path` in a recipe".into());
    }
    Ok((words.line, recipe))
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    if words::show_help("chat", &args.words)? {
        return Ok(());
    }
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let (line, recipe) = read(&args.words)?;
    if let Some(notice) = recipe.without_effect_notice() {
        eprintln!("{notice}");
    }
    let model = chat::load(&source(&line, &recipe))?;
    if interactive {
        println!("Type a message; `clear` begins anew, `exit` leaves, Ctrl-C breaks off an answer.");
    }
    let mut talk = Talk {
        model,
        sampling: sampling(&line, &recipe),
        system: recipe.default_system,
        messages: Vec::new(),
        interactive,
        interrupt: Interrupt::listen()?,
    };
    talk.begin();
    talk.hold()
}

struct Talk<M> {
    model: M,
    sampling: Sampling,
    system: Option<String>,
    messages: Vec<ChatMessage>,
    interactive: bool,
    interrupt: Arc<Interrupt>,
}

/// What Ctrl-C does: while an answer is written it ends the answer, otherwise the program.
#[derive(Default)]
struct Interrupt {
    answering: AtomicBool,
    broken_off: AtomicBool,
}

impl Interrupt {
    fn listen() -> io::Result<Arc<Interrupt>> {
        let interrupt = Arc::new(Interrupt::default());
        let heard = interrupt.clone();
        let mut signals = Signals::new([SIGINT])?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _ in signals.forever() {
                if !heard.answering.load(Ordering::Relaxed) {
                    println!();
                    std::process::exit(0);
                }
                heard.broken_off.store(true, Ordering::Relaxed);
            }
        })?;
        Ok(interrupt)
    }
}

impl<M: Model> Talk<M> {
    fn begin(&mut self) {
        let system = self.system.clone().map(|content| ChatMessage { role: "system".to_owned(), content });
        self.messages = system.into_iter().collect();
    }

    /// Ends with the input, or when told to.
    fn hold(&mut self) -> Result<(), CliError> {
        let mut input = io::stdin().lock();
        loop {
            self.prompt("User: ")?;
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Ok(line) = String::from_utf8(line) else {
                eprintln!("this is not UTF-8; set your terminal to it and try again");
                continue;
            };
            match line.trim() {
                "" => {}
                "exit" => return Ok(()),
                "clear" => {
                    self.begin();
                    eprintln!("The conversation begins anew.");
                }
                said => self.say(said)?,
            }
        }
    }

    fn say(&mut self, said: &str) -> Result<(), CliError> {
        self.messages.push(ChatMessage { role: "user".to_owned(), content: said.to_owned() });
        self.prompt("Assistant: ")?;
        self.interrupt.broken_off.store(false, Ordering::Relaxed);
        self.interrupt.answering.store(true, Ordering::Relaxed);
        let mut answer = String::new();
        let interrupt = self.interrupt.clone();
        let mut on_text = |text: &str| {
            answer.push_str(text);
            let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
            let go_on = written.is_ok() && !interrupt.broken_off.load(Ordering::Relaxed);
            if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let Self { model, messages, sampling, .. } = self;
        let answered = on_pool(|| model.answer(messages, sampling, &mut on_text));
        self.interrupt.answering.store(false, Ordering::Relaxed);
        println!();
        match answered {
            Ok(_) => self.messages.push(ChatMessage { role: "assistant".to_owned(), content: answer }),
            // Someone is there to say something shorter, or to begin anew.
            Err(why) if self.interactive => {
                self.messages.pop();
                complain(&why.message);
            }
            Err(why) => return Err(why.into()),
        }
        Ok(())
    }

    fn prompt(&self, text: &str) -> io::Result<()> {
        if self.interactive {
            print!("{text}");
            io::stdout().flush()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(words: &[&str]) -> (Sampling, ChatSource, Recipe) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let (line, recipe) = read(&words).unwrap();
        (sampling(&line, &recipe), source(&line, &recipe), recipe)
    }

    #[test]
    fn the_command_line_wins_over_the_recipe_and_that_over_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.yaml");
        let text = "model_name_or_path: m\ntemplate: qwen3\nenable_thinking: false\nuse_cpu: true\n\
                    temperature: 0.5\ntop_k: 7\ndo_sample: false\nrepetition_penalty: 1.2\n";
        std::fs::write(&path, text).unwrap();
        let (sampling, source, _) = chat(&["max_new_tokens=9", path.to_str().unwrap(), "--top-k", "3"]);
        assert_eq!((source.enable_thinking, source.use_cpu), (Some(false), true));
        assert_eq!(source.revision.as_deref(), Some("main"));
        let wanted = Sampling {
            do_sample: false,
            temperature: 0.5,
            top_k: 3,
            max_new_tokens: 9,
            repetition_penalty: 1.2,
            ..Sampling::default()
        };
        assert_eq!(sampling, wanted);
        let (warm, ..) = chat(&[path.to_str().unwrap(), "temperature=0.7", "seed=5"]);
        assert!(warm.do_sample && warm.seed == Some(5));

        let (sampling, source, _) = chat(&["--model", "m", "temperature=0"]);
        assert_eq!((source.enable_thinking, source.revision), (None, None));
        let wanted = Sampling { do_sample: false, temperature: 0.0, ..Sampling::default() };
        assert_eq!(sampling, wanted);
    }

    #[test]
    fn flags_are_those_of_chandler_and_of_llama_factory() {
        let flags = [
            "--model",
            "m",
            "--adapter",
            "a",
            "--adapter",
            "b",
            "--system",
            "Be brief.",
            "--max-new-tokens",
            "9",
        ];
        let (sampling, source, recipe) = chat(&flags);
        assert_eq!(source.adapters, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!((recipe.default_system.as_deref(), sampling.max_new_tokens), (Some("Be brief."), 9));
        let flags = "--model_name_or_path m --adapter_name_or_path a,b --template llama3 --finetuning_type lora \
                     --infer_backend vllm --trust_remote_code";
        let (_, source, recipe) = chat(&flags.split_whitespace().collect::<Vec<_>>());
        assert_eq!((source.adapters.len(), source.template.as_deref()), (2, Some("llama3")));
        let notice = recipe.without_effect_notice().unwrap().to_string();
        assert!(notice.starts_with("infer_backend, trust_remote_code ("), "{notice}");
    }

    #[test]
    fn a_model_is_asked_for() {
        let refused = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            read(&words).unwrap_err().to_string()
        };
        assert!(refused(&["--template", "llama3"]).starts_with("name a model: --model PATH"));
        assert!(refused(&["m.gguf"]).ends_with("write --model m.gguf"));
        assert!(refused(&["absent.yaml", "seed=1"]).starts_with("cannot read absent.yaml"));
        assert_eq!(
            refused(&["--model", "m", "--temprature", "0"]),
            "`--temprature` is not an argument; did you mean `--temperature`?"
        );
    }
}
