//! Tool descriptions, word for word those the models were trained with.

use serde_json::{Value, json};

use super::ToolFormat;
use crate::error::{Error, Result};
use crate::pyjson::{dumps, dumps_indented};
use crate::pyrepr::{display, is_true};

pub(super) fn describe(format: ToolFormat, tools: &[Value], today: &str) -> Result<String> {
    Ok(match format {
        ToolFormat::Default | ToolFormat::ChatGlm3 => default(tools)?,
        ToolFormat::Gemma4 => joined(tools, "\n", gemma4)?,
        ToolFormat::Glm4 => {
            let list = joined(tools, "", |tool| {
                let tool = function(tool);
                let json = dumps_indented(tool, 4);
                Ok(format!(
                    "\n\n## {}\n\n{json}\n在调用上述函数时，请使用 Json 格式表示调用的参数。",
                    name(tool)?
                ))
            })?;
            format!("{GLM4_HEAD}{list}")
        }
        ToolFormat::Glm4Moe => {
            format!("\n\n{TOOLS_HEAD}{}{GLM4_MOE_TAIL}", lines(tools, |tool| dumps(&wrapped(tool))))
        }
        ToolFormat::Lfm2 => {
            let list: Vec<Value> = tools.iter().map(|tool| function(tool).clone()).collect();
            format!("List of tools: <|tool_list_start|>{}<|tool_list_end|>", dumps(&Value::Array(list)))
        }
        ToolFormat::Ling => {
            let list = lines(tools, |tool| dumps(&wrapped(tool)));
            format!("{TOOLS_HEAD}{list}{QWEN_TAIL}\ndetailed thinking off")
        }
        ToolFormat::Llama3 => {
            let list: String =
                tools.iter().map(|tool| format!("{}\n\n", dumps_indented(&wrapped(tool), 4))).collect();
            format!("Cutting Knowledge Date: December 2023\nToday Date: {today}\n\n{LLAMA3_HEAD}{list}")
        }
        ToolFormat::Minimax1 => {
            let list: String = tools.iter().map(|tool| format!("{}\n", dumps(function(tool)))).collect();
            format!("You are provided with these tools:\n<tools>\n{list}</tools>{MINIMAX1_TAIL}")
        }
        ToolFormat::Minimax2 => {
            let list: String =
                tools.iter().map(|tool| format!("<tool>{}</tool>\n", dumps(function(tool)))).collect();
            format!("{MINIMAX2_HEAD}{list}</tools>{MINIMAX2_TAIL}")
        }
        ToolFormat::Mistral => {
            let list = Value::Array(tools.iter().map(wrapped).collect());
            format!("[AVAILABLE_TOOLS] {}[/AVAILABLE_TOOLS]", dumps(&list))
        }
        ToolFormat::Qwen => {
            format!("\n\n{TOOLS_HEAD}{}{QWEN_TAIL}", lines(tools, |tool| dumps(&wrapped(tool))))
        }
        ToolFormat::Qwen35 => {
            format!("{QWEN35_HEAD}{}{QWEN35_TAIL}", lines(tools, |tool| dumps(function(tool))))
        }
        ToolFormat::SeedOss => format!("{SEED_HEAD}\n{}{SEED_TAIL}", dumps(&Value::Array(tools.to_vec()))),
    })
}

/// The function inside `{"type": "function", "function": …}`, or the tool itself.
fn function(tool: &Value) -> &Value {
    let is_wrapped = tool.get("type").and_then(Value::as_str) == Some("function");
    tool.get("function").filter(|_| is_wrapped).unwrap_or(tool)
}

fn wrapped(tool: &Value) -> Value {
    if tool.get("type").and_then(Value::as_str) == Some("function") {
        tool.clone()
    } else {
        json!({"type": "function", "function": tool})
    }
}

fn name(tool: &Value) -> Result<&str> {
    tool.get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| Error::tools(format!("a tool has no \"name\": {}", super::excerpt(&tool.to_string()))))
}

/// The value of `key` as text; empty if there is none.
fn text(value: &Value, key: &str) -> String {
    value.get(key).map(display).unwrap_or_default()
}

/// The value of `key`, unless there is nothing in it.
fn given<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|value| is_true(value))
}

fn lines(tools: &[Value], line: impl Fn(&Value) -> String) -> String {
    tools.iter().map(|tool| format!("\n{}", line(tool))).collect()
}

fn joined(tools: &[Value], between: &str, one: impl Fn(&Value) -> Result<String>) -> Result<String> {
    Ok(tools.iter().map(one).collect::<Result<Vec<_>>>()?.join(between))
}

fn default(tools: &[Value]) -> Result<String> {
    let mut list = String::new();
    let mut names = Vec::with_capacity(tools.len());
    for tool in tools {
        let tool = function(tool);
        let name = name(tool)?;
        let parameters = tool.get("parameters").unwrap_or(&Value::Null);
        let required = parameters.get("required").and_then(Value::as_array);
        list.push_str(&format!(
            "> Tool Name: {name}\nTool Description: {}\nTool Args:\n",
            text(tool, "description")
        ));
        for (parameter, schema) in
            parameters.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let is_required = required.is_some_and(|names| names.iter().any(|name| name == parameter));
            list.push_str(&default_parameter(parameter, schema, is_required));
        }
        list.push('\n');
        names.push(name);
    }
    let names = names.join(", ");
    Ok(format!(
        "You have access to the following tools:\n{list}Use the following format if using a tool:\n```\n\
         Action: tool name (one of [{names}])\n\
         Action Input: the input to the tool, in a JSON format representing the kwargs \
         (e.g. ```{{\"input\": \"hello world\", \"num_beams\": 5}}```)\n```\n"
    ))
}

fn default_parameter(name: &str, schema: &Value, required: bool) -> String {
    let choices = given(schema, "enum").and_then(Value::as_array);
    let choices = choices.map_or_else(String::new, |choices| {
        let choices: Vec<String> = choices.iter().map(super::argument_text).collect();
        format!(", should be one of [{}]", choices.join(", "))
    });
    let items = given(schema, "items")
        .map_or_else(String::new, |items| format!(", where each item should be {}", text(items, "type")));
    let required = if required { ", required" } else { "" };
    format!(
        "  - {name} ({}{required}): {}{choices}{items}\n",
        text(schema, "type"),
        text(schema, "description")
    )
}

fn gemma4(tool: &Value) -> Result<String> {
    let tool = function(tool);
    let mut parts = vec![marked("description", &text(tool, "description"))];
    if let Some(parameters) = given(tool, "parameters") {
        let mut inner = Vec::new();
        if let Some(properties) = given(parameters, "properties").and_then(Value::as_object) {
            let properties: Vec<String> = properties
                .iter()
                .map(|(name, schema)| format!("{name}:{{{}}}", gemma4_schema(schema)))
                .collect();
            inner.push(format!("properties:{{{}}}", properties.join(",")));
        }
        if let Some(required) = given(parameters, "required").and_then(Value::as_array) {
            let required: Vec<String> = required.iter().map(|item| quoted(&display(item))).collect();
            inner.push(format!("required:[{}]", required.join(",")));
        }
        inner.extend(gemma4_type(parameters));
        parts.push(format!("parameters:{{{}}}", inner.join(",")));
    }
    if let Some(response) = given(tool, "response") {
        let description = given(response, "description").map(|text| marked("description", &display(text)));
        let kind = gemma4_type(response).filter(|kind| *kind == marked("type", "OBJECT"));
        let inner: Vec<String> = description.into_iter().chain(kind).collect();
        parts.push(format!("response:{{{}}}", inner.join(",")));
    }
    Ok(format!("declaration:{}{{{}}}", name(tool)?, parts.join(",")))
}

fn gemma4_schema(schema: &Value) -> String {
    let description = given(schema, "description").map(|text| marked("description", &display(text)));
    description.into_iter().chain(gemma4_type(schema)).collect::<Vec<_>>().join(",")
}

fn gemma4_type(schema: &Value) -> Option<String> {
    given(schema, "type").map(|kind| marked("type", &display(kind).to_uppercase()))
}

fn marked(key: &str, text: &str) -> String {
    format!("{key}:{}", quoted(text))
}

/// A string as Gemma 4 marks it.
fn quoted(text: &str) -> String {
    format!("<|\"|>{text}<|\"|>")
}

const GLM4_HEAD: &str = "你是一个名为 ChatGLM 的人工智能助手。你是基于智谱 AI 公司训练的语言模型 GLM-4 模型开发的，\
    你的任务是针对用户的问题和要求提供适当的答复和支持。\n\n# 可用工具";

const TOOLS_HEAD: &str = "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n\
    You are provided with function signatures within <tools></tools> XML tags:\n<tools>";

const QWEN_TAIL: &str = "\n</tools>\n\nFor each function call, return a json object with function name and arguments \
    within <tool_call></tool_call> XML tags:\n<tool_call>\n\
    {\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>";

const GLM4_MOE_TAIL: &str = "\n</tools>\n\nFor each function call, output the function name and arguments within the \
    following XML format:\n<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n\
    <arg_value>{arg-value-1}</arg_value>\n<arg_key>{arg-key-2}</arg_key>\n<arg_value>{arg-value-2}</arg_value>\n\
    ...\n</tool_call>\n";

const LLAMA3_HEAD: &str = "You have access to the following functions. To call a function, please respond with JSON \
    for a function call. Respond in the format {\"name\": function name, \"parameters\": dictionary of argument name \
    and its value}. Do not use variables.\n\n";

const MINIMAX1_TAIL: &str = "\n\nIf you need to call tools, please respond with <tool_calls></tool_calls> XML tags, \
    and provide tool-name and json-object of arguments, following the format below:\n<tool_calls>\n\
    {\"name\": <tool-name-1>, \"arguments\": <args-json-object-1>}\n...\n</tool_calls>";

const MINIMAX2_HEAD: &str = "\n\n# Tools\n\nYou may call one or more tools to assist with the user query.\n\
    Here are the tools available in JSONSchema format:\n\n<tools>\n";

const MINIMAX2_TAIL: &str = "\n\nWhen making tool calls, use XML format to invoke tools and pass parameters:\n\n\
    <minimax:tool_call>\n<invoke name=\"tool-name-1\">\n<parameter name=\"param-key-1\">param-value-1</parameter>\n\
    <parameter name=\"param-key-2\">param-value-2</parameter>\n...\n</invoke>\n</minimax:tool_call>";

const QWEN35_HEAD: &str = "\n\n# Tools\n\nYou have access to the following functions:\n\n<tools>";

const QWEN35_TAIL: &str = "\n</tools>\n\nIf you choose to call a function ONLY reply in the following format with NO \
    suffix:\n\n<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n\
    <parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\nmultiple lines\n\
    </parameter>\n</function>\n</tool_call>\n\n<IMPORTANT>\nReminder:\n\
    - Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within \
    <tool_call></tool_call> XML tags\n\
    - Required parameters MUST be specified\n\
    - You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT \
    after\n\
    - If there is no function call available, answer the question like normal with your current knowledge and do not \
    tell the user about function calls\n</IMPORTANT>";

const SEED_HEAD: &str = "system\nYou are Doubao, a helpful AI assistant. You may call one or more functions to assist \
    with the user query.Tool List:\nYou are authorized to use the following tools (described in JSON Schema format). \
    Before performing any task, you must decide how to call them based on the descriptions and parameters of these \
    tools.";

const SEED_TAIL: &str = "\n工具调用请遵循如下格式:\n<seed:tool_call>\n<function=example_function_name>\n\
    <parameter=example_parameter_1>value_1</parameter>\n<parameter=example_parameter_2>This is the value for the \
    second parameter\nthat can span\nmultiple lines</parameter>\n</function>\n</seed:tool_call>\n";
