//! How templates are written down: the words that the files in `groups/` use.

use super::{Piece, Reasoning, SystemPlace, Template, ToolFormat};

pub(super) const BOS: Piece = Piece::Bos;
pub(super) const EOS: Piece = Piece::Eos;

pub(super) fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

pub(super) fn token(token: &str) -> Piece {
    Piece::Token(token.to_owned())
}

/// What a slot of a template is made from: one text, or a list of pieces.
pub(super) struct Slots(Vec<Piece>);

impl From<&str> for Slots {
    fn from(value: &str) -> Self {
        Self(vec![text(value)])
    }
}

impl<const N: usize> From<[Piece; N]> for Slots {
    fn from(value: [Piece; N]) -> Self {
        Self(value.into())
    }
}

/// A template in the making; [`Draft::build`] fills in what was left out.
pub(super) struct Draft {
    template: Template,
    assistant: Option<Vec<Piece>>,
    function: Option<Vec<Piece>>,
    observation: Option<Vec<Piece>>,
}

/// Starts a template whose user turns are `user`.
pub(super) fn template(name: &str, user: impl Into<Slots>) -> Draft {
    let words = |open: &str, close: &str| (open.to_owned(), close.to_owned());
    let template = Template {
        name: name.to_owned(),
        prefix: Vec::new(),
        system: vec![text("{{content}}")],
        user: user.into().0,
        assistant: Vec::new(),
        function: Vec::new(),
        observation: Vec::new(),
        separator: Vec::new(),
        tool_format: ToolFormat::Default,
        raw_tools: None,
        default_system: String::new(),
        stop_words: Vec::new(),
        thought_words: words("<think>\n", "\n</think>\n\n"),
        tool_call_words: words("<tool_call>", "</tool_call>"),
        efficient_eos: false,
        replace_eos: false,
        replace_jinja_template: false,
        system_place: SystemPlace::OwnSegment,
        reasoning: Reasoning::None,
        enable_thinking: Some(true),
        preserve_thinking: false,
        today: None,
        marked: None,
    };
    Draft { template, assistant: None, function: None, observation: None }
}

impl Draft {
    /// The same template under another name.
    pub(super) fn renamed(mut self, name: &str) -> Self {
        self.template.name = name.to_owned();
        self
    }

    pub(super) fn prefix(mut self, slots: impl Into<Slots>) -> Self {
        self.template.prefix = slots.into().0;
        self
    }

    pub(super) fn system(mut self, slots: impl Into<Slots>) -> Self {
        self.template.system = slots.into().0;
        self
    }

    /// Default: the content, and EOS unless `efficient_eos`.
    pub(super) fn assistant(mut self, slots: impl Into<Slots>) -> Self {
        self.assistant = Some(slots.into().0);
        self
    }

    /// Default: as the assistant.
    pub(super) fn function(mut self, slots: impl Into<Slots>) -> Self {
        self.function = Some(slots.into().0);
        self
    }

    /// Default: as the user.
    pub(super) fn observation(mut self, slots: impl Into<Slots>) -> Self {
        self.observation = Some(slots.into().0);
        self
    }

    pub(super) fn separator(mut self, slots: impl Into<Slots>) -> Self {
        self.template.separator = slots.into().0;
        self
    }

    pub(super) fn tools(mut self, format: ToolFormat) -> Self {
        self.template.tool_format = format;
        self
    }

    pub(super) fn raw_tools(mut self, slot: &str) -> Self {
        self.template.raw_tools = Some(slot.to_owned());
        self
    }

    pub(super) fn default_system(mut self, system: &str) -> Self {
        self.template.default_system = system.to_owned();
        self
    }

    pub(super) fn stop<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.template.stop_words = words.map(str::to_owned).into();
        self
    }

    pub(super) fn thought(mut self, open: &str, close: &str) -> Self {
        self.template.thought_words = (open.to_owned(), close.to_owned());
        self
    }

    pub(super) fn tool_call_words(mut self, open: &str, close: &str) -> Self {
        self.template.tool_call_words = (open.to_owned(), close.to_owned());
        self
    }

    pub(super) fn efficient_eos(mut self) -> Self {
        self.template.efficient_eos = true;
        self
    }

    pub(super) fn replace_eos(mut self) -> Self {
        self.template.replace_eos = true;
        self
    }

    pub(super) fn replace_jinja(mut self) -> Self {
        self.template.replace_jinja_template = true;
        self
    }

    pub(super) fn system_in_user(mut self) -> Self {
        self.template.system_place = SystemPlace::FirstUserTurn;
        self
    }

    pub(super) fn reasoning(mut self) -> Self {
        self.template.reasoning = Reasoning::EmptyThought;
        self
    }

    pub(super) fn closed_thought(mut self) -> Self {
        self.template.reasoning = Reasoning::ClosedThought;
        self
    }

    pub(super) fn build(self) -> Template {
        let mut template = self.template;
        let mut answer = vec![text("{{content}}")];
        if !template.efficient_eos {
            answer.push(EOS);
        }
        template.assistant = self.assistant.unwrap_or(answer);
        template.function = self.function.unwrap_or_else(|| template.assistant.clone());
        template.observation = self.observation.unwrap_or_else(|| template.user.clone());
        template
    }
}
