//! A configuration file, as settings by name. Every mistake is reported with the line that it is in.

use toml::de::{DeTable, DeValue};

use crate::config::Config;

/// The settings in `text`, which is the content of `file`, in order.
pub(crate) fn settings(file: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let at = |offset: usize, wrong: &str| format!("{file}:{}: {wrong}", line(text, offset));
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        at(offset, error.message())
    })?;
    let mut found = Vec::new();
    for (name, value) in table.get_ref() {
        let (offset, name) = (name.span().start, name.get_ref().to_string());
        let plain =
            plain(value.get_ref()).map_err(|wrong| at(value.span().start, &format!("{name}: {wrong}")))?;
        found.push((offset, name, plain));
    }
    found.sort_by_key(|(offset, ..)| *offset);
    let mut config = Config::default();
    for (offset, name, value) in &found {
        config.set(name, value).map_err(|wrong| at(*offset, &format!("{name}: {wrong}")))?;
    }
    config.check().map_err(|wrong| format!("{file}: {wrong}"))?;
    Ok(found.into_iter().map(|(_, name, value)| (name, value)).collect())
}

/// A value as the one string that a setting takes.
fn plain(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Array(members) => {
            let members = members.iter().map(|member| {
                let text = member.get_ref().as_str().filter(|text| !text.contains(','));
                text.ok_or_else(|| "a list has strings without commas".to_owned())
            });
            Ok(members.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            Err(format!("a {} is no value of a setting", value.type_str()))
        }
    }
}

/// Number of the line that the byte at `offset` is in.
fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
