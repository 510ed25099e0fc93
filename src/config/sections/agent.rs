//! `[agent]` and `[sandbox]`: the model, its limits and prices, and what its container may use.

use std::time::Duration;

use jiff::civil::Date;
use url::Url;

use super::super::document::Section;
use crate::agent::price::{Price, Rates};
use crate::agent::settings::{Limits, Settings};
use crate::base::secret::Secret;
use crate::heal::fix::dependencies;
use crate::heal::fix::project::Language;
use crate::model::money::NanoUsd;
use crate::sandbox::spec::SandboxLimits;
use crate::store::types::SpendLimits;

/// What `[agent]` says.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// `None` without a key: nothing is fixed then.
    pub agent: Option<Settings>,
    pub spend: SpendLimits,
    pub max_attempts: u32,
}

/// Reads `[agent]`. A key whose model has no price is a problem here, not at the first call.
pub(in crate::config) fn agent(root: &Section<'_>) -> AgentSettings {
    let section = root.section("agent");
    let default_api = || Url::parse("https://api.anthropic.com").expect("a constant address");
    let api = section.web_address("api").map_or_else(default_api, |found| found.value);
    let key = section.secret("key");
    let mut settings = Settings::new(api, key.clone().unwrap_or_else(|| Secret::new("")));
    let model = section.text("model");
    if let Some(model) = &model {
        settings.model.clone_from(&model.value);
    }
    let fallback = section.text("fallback_model");
    settings.fallback_model = fallback.as_ref().map(|found| found.value.clone());
    let first = section.text("first_model");
    settings.first_model = first.as_ref().map(|found| found.value.clone());
    let efforts =
        [("low", "low"), ("medium", "medium"), ("high", "high"), ("max", "max")].map(|(a, b)| (a, Some(b)));
    settings.effort = section.choice("effort", &efforts, None).map(str::to_owned);
    settings.limits = limits(&section, settings.limits);
    let spend = spend(&section, settings.limits.cost);
    let max_attempts = u32::try_from(section.number("max_attempts", 1..=10, 2)).unwrap_or(2);
    for price in prices(&section) {
        settings.prices.retain(|known| known.model != price.model);
        settings.prices.push(price);
    }
    let wanted = [
        ("model", Some(&settings.model), &model),
        ("first_model", settings.first_model.as_ref(), &first),
        ("fallback_model", settings.fallback_model.as_ref(), &fallback),
    ];
    for (key, name, found) in wanted {
        let Some(name) = name.filter(|name| settings.price(name).is_none()) else { continue };
        let message = format!("the price of the model `{name}` is not known, so it is never called");
        let hint = "add an [[agent.price]] for it, or name a model that has one";
        section.wrong(key, found.as_ref(), message, hint);
    }
    section.finish();
    AgentSettings { agent: key.map(|_| settings), spend, max_attempts }
}

/// Limits on money. Where the narrower one is not set it is as wide as the next.
fn spend(section: &Section<'_>, per_attempt: NanoUsd) -> SpendLimits {
    let default = SpendLimits::default();
    let dollars = |key, default| section.dollars(key).map_or(default, |found| found.value);
    let per_day = dollars("max_usd_per_day", default.per_day);
    SpendLimits {
        per_call: dollars("max_usd_per_call", per_attempt),
        per_attempt,
        per_issue: dollars("max_usd_per_issue", default.per_issue),
        per_service_day: dollars("max_usd_per_service_per_day", per_day),
        per_day,
        per_month: dollars("max_usd_per_month", default.per_month),
    }
}

fn limits(section: &Section<'_>, default: Limits) -> Limits {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    Limits {
        model_calls: u32::try_from(section.number("max_steps", 1..=10_000, u64::from(default.model_calls)))
            .unwrap_or(default.model_calls),
        total_tokens: section.number("max_tokens", 1000..=1_000_000_000, default.total_tokens),
        output_tokens_per_call: section.number(
            "max_output_tokens",
            1000..=128_000,
            default.output_tokens_per_call,
        ),
        cost: section.dollars("max_usd").map_or(default.cost, |found| found.value),
        wall_time: section.duration("max_time", minutes(1)..=minutes(24 * 60), default.wall_time),
        command_time: section.duration("max_command_time", minutes(1)..=minutes(120), default.command_time),
        tool_result_chars: usize::try_from(section.number(
            "tool_result_chars",
            1000..=200_000,
            default.tool_result_chars as u64,
        ))
        .unwrap_or(default.tool_result_chars),
        context_tokens: section.number("context_tokens", 20_000..=10_000_000, default.context_tokens),
        conversations: u32::try_from(section.number(
            "max_conversations",
            1..=100,
            u64::from(default.conversations),
        ))
        .unwrap_or(default.conversations),
    }
}

/// Reads `[[agent.price]]`. A price is whole or not there at all.
fn prices(agent: &Section<'_>) -> Vec<Price> {
    let mut prices = Vec::new();
    for section in agent.sections("price") {
        let model = section.text("model");
        let as_of = section.read("as_of", |value| {
            let date = value.as_str().and_then(|text| text.parse::<Date>().ok());
            date.ok_or_else(|| "write the day the price was looked up, for example \"2026-10-01\"".to_owned())
        });
        let rate = |key| {
            let found = section.dollars(key);
            if found.is_none() && !section.has(key) {
                section.wrong::<()>(key, None, "is missing", "write dollars per million tokens");
            }
            found.map(|found| found.value)
        };
        let rates = (rate("input"), rate("output"), rate("cache_write"), rate("cache_read"));
        for (key, is_missing) in [("model", !section.has("model")), ("as_of", !section.has("as_of"))] {
            if is_missing {
                section.wrong::<()>(key, None, "is missing", "every price needs model, as_of and four rates");
            }
        }
        let long_prompt = long_prompt(&section);
        if let (Some(model), Some(as_of), (Some(input), Some(output), Some(cache_write), Some(cache_read))) =
            (model, as_of, rates)
        {
            let rates = Rates { input, cache_write, cache_read, output };
            if prices.iter().any(|known: &Price| known.model == model.value) {
                let message = format!("there is a price of `{}` already", model.value);
                section.wrong("model", Some(&model), message, "keep the one that holds");
            }
            prices.push(Price { model: model.value, as_of: as_of.value, rates, long_prompt });
        }
        section.finish();
    }
    prices
}

/// The other rates for long prompts: all five keys, or none.
fn long_prompt(price: &Section<'_>) -> Option<(u64, Rates)> {
    const KEYS: [&str; 5] =
        ["long_prompt_above", "long_input", "long_output", "long_cache_write", "long_cache_read"];
    if KEYS.iter().all(|key| !price.has(key)) {
        return None;
    }
    for key in KEYS.into_iter().filter(|key| !price.has(key)) {
        price.wrong::<()>(key, None, "is missing", "a price of long prompts needs its length and four rates");
    }
    let above = price.number(KEYS[0], 1..=100_000_000, u64::MAX);
    let rate = |key| price.dollars(key).map(|found| found.value);
    let (input, output) = (rate(KEYS[1]), rate(KEYS[2]));
    let (cache_write, cache_read) = (rate(KEYS[3]), rate(KEYS[4]));
    let rates = Rates { input: input?, output: output?, cache_write: cache_write?, cache_read: cache_read? };
    Some((above, rates))
}

/// What `[sandbox]` says.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxSettings {
    /// Address of the engine; `None` for the one that is watched.
    pub host: Option<String>,
    pub image: String,
    /// Images for languages that the default one lacks: (language, image).
    pub language_images: Vec<(String, String)>,
    pub limits: SandboxLimits,
    /// The engine's runtime for sandboxes; `None` for its default.
    pub runtime: Option<String>,
    pub dependencies: dependencies::Settings,
}

/// Reads `[sandbox]`.
pub(in crate::config) fn sandbox(root: &Section<'_>) -> SandboxSettings {
    let section = root.section("sandbox");
    let default = SandboxLimits::default();
    let mib = 1 << 20;
    let gib = 1 << 30;
    let limits = SandboxLimits {
        memory_bytes: section.bytes("memory", 64 * mib..=1024 * gib, default.memory_bytes),
        #[expect(clippy::cast_precision_loss, reason = "a number of processors")]
        cpus: section.number("cpus", 1..=512, 2) as f64,
        pids: u32::try_from(section.number("processes", 16..=100_000, u64::from(default.pids)))
            .unwrap_or(default.pids),
        workspace_bytes: section.bytes("workspace", 16 * mib..=1024 * gib, default.workspace_bytes),
        tmp_bytes: section.bytes("tmp", 16 * mib..=1024 * gib, default.tmp_bytes),
        ..default
    };
    let mut language_images = Vec::new();
    for language in section.sections("language") {
        let names = Language::ALL.map(|it| (it.name(), Some(it)));
        let (name, image) = (language.choice("name", &names, None), language.text("image"));
        for key in ["name", "image"] {
            if !language.has(key) {
                language.wrong::<()>(key, None, "is missing", "a language needs `name` and `image`");
            }
        }
        if let (Some(name), Some(image)) = (name, image) {
            language_images.push((name.name().to_owned(), image.value));
        }
        language.finish();
    }
    let image = section.text("image").map_or_else(|| "homeostat/sandbox:1".to_owned(), |found| found.value);
    let settings = SandboxSettings {
        host: section.engine_address("host"),
        dependencies: super::dependencies::dependencies(&section, &image),
        image,
        language_images,
        limits,
        runtime: section.text("runtime").map(|found| found.value),
    };
    section.finish();
    settings
}
