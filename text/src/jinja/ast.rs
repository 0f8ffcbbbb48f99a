//! What a template is made of.

use std::sync::Arc;

/// A statement and its line.
#[derive(Debug)]
pub(super) struct Statement {
    pub line: usize,
    pub kind: StatementKind,
}

pub(super) type Body = Vec<Statement>;

#[derive(Debug)]
pub(super) enum StatementKind {
    Text(Arc<str>),
    Output(Expression),
    Set(Target, Expression),
    /// `{% set x | filter %}…{% endset %}`; the filters' input is [`ExpressionKind::Input`].
    SetBlock(Target, Option<Expression>, Body),
    If(Vec<(Expression, Body)>, Body),
    For(Arc<For>),
    Macro(Arc<Macro>),
    /// A call and the macro that it gets as `caller`.
    Call(Expression, Arc<Macro>),
    Filter(Expression, Body),
    With(Vec<(Target, Expression)>, Body),
    /// A body with variables of its own.
    Scope(Body),
    Block(Arc<str>),
    /// transformers' mark around what an assistant writes. A call block there, so a macro here.
    Generation(Arc<Macro>),
    Break,
    Continue,
    /// A statement that needs other templates, which a chat template has none of.
    OtherTemplate(&'static str),
}

#[derive(Debug)]
pub(super) struct For {
    pub target: Target,
    pub iterable: Expression,
    pub condition: Option<Expression>,
    pub recursive: bool,
    pub body: Body,
    pub otherwise: Body,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub name: Option<Arc<str>>,
    pub parameters: Vec<Arc<str>>,
    /// Of the last parameters.
    pub defaults: Vec<Expression>,
    pub body: Body,
    /// Whether the body uses these names without having set them.
    pub uses_caller: bool,
    pub uses_varargs: bool,
    pub uses_kwargs: bool,
}

/// What can be assigned to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Arc<str>),
    /// An attribute of a namespace.
    Attribute(Arc<str>, Arc<str>),
    Tuple(Vec<Target>),
}

/// An expression and its line.
#[derive(Debug)]
pub(super) struct Expression {
    pub line: usize,
    pub kind: ExpressionKind,
}

#[derive(Debug)]
pub(super) enum ExpressionKind {
    None,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Arc<str>),
    Name(Arc<str>),
    /// What a filter block or a block assignment has written.
    Input,
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
    Attribute(Box<Expression>, Arc<str>),
    Item(Box<Expression>, Box<Expression>),
    Slice(Box<Expression>, Box<[Option<Expression>; 3]>),
    Call(Box<Expression>, Box<Arguments>),
    Filter(Box<Expression>, Arc<str>, Box<Arguments>),
    Test(Box<Expression>, Arc<str>, Box<Arguments>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Positive(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Binary(Binary, Box<Expression>, Box<Expression>),
    Concat(Vec<Expression>),
    /// `a < b <= c`: each pair is compared, as Python does.
    Compare(Box<Expression>, Vec<(Comparison, Expression)>),
    /// Condition, value, and value otherwise.
    Conditional(Box<Expression>, Box<Expression>, Option<Box<Expression>>),
}

#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub positional: Vec<Expression>,
    pub named: Vec<(Arc<str>, Expression)>,
    /// `*values`
    pub spread: Option<Expression>,
    /// `**values`
    pub spread_named: Option<Expression>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

impl Binary {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Modulo => "%",
            Self::Power => "** or pow()",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}
