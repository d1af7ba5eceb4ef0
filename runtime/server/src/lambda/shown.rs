//! What the catalog holds of a function as the Lambda API shows it: configuration, state, aliases, events.

use millrace_catalog::{
    Alias, BuildFailure, BuildState, EventConfig as StoredEvents, Function, LastUpdate, Published, Revision,
};
use millrace_front::{
    Alias as AliasInfo, Configuration, EventConfig, EventConfigInfo, Failure, FailureCode, FunctionInfo,
    LastUpdate as ShownUpdate, State, Target, World,
};

/// `$LATEST`: the code and configuration of `revision`, and the state of `runs`, which is what a call would reach.
pub(super) fn latest(function: &Function, runs: &Revision, revision: &Revision) -> FunctionInfo {
    let last_update = match &function.last_update {
        // Nothing was changed yet: it is about the first build.
        LastUpdate::Successful => build_of(runs),
        LastUpdate::InProgress(_) => ShownUpdate::InProgress,
        LastUpdate::Failed(failure) => ShownUpdate::Failed(failure_of(failure)),
    };
    FunctionInfo {
        version: None,
        modified_ms: revision.created_ms,
        revision_id: function.revision_id.clone(),
        state: state_of(runs),
        last_update,
        ..info(revision)
    }
}

/// A published version.
pub(super) fn version(number: u32, published: &Published, revision: &Revision) -> FunctionInfo {
    let mut shown = FunctionInfo {
        version: Some(number),
        modified_ms: published.created_ms,
        revision_id: published.revision_id.clone(),
        ..info(revision)
    };
    shown.configuration.description.clone_from(&published.description);
    shown
}

/// A revision under no name.
fn info(revision: &Revision) -> FunctionInfo {
    let config = &revision.config;
    FunctionInfo {
        name: revision.function.clone(),
        version: None,
        configuration: Configuration {
            world: if revision.code.world == "handler" { World::Handler } else { World::Transform },
            settings: config.settings.clone(),
            memory_mb: u32::try_from(config.memory_bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX),
            timeout_s: config.timeout_ms.div_ceil(1_000),
            description: config.description.clone(),
            role: config.role.clone(),
            log_group: config.log_group.clone(),
        },
        code_sha256: digest_of(&revision.code.uploaded_sha256),
        code_bytes: revision.code.uploaded_bytes,
        modified_ms: revision.created_ms,
        revision_id: String::new(),
        state: state_of(revision),
        last_update: build_of(revision),
    }
}

/// The bytes of a stored `CodeSha256`.
pub(super) fn digest_of(base64: &str) -> [u8; 32] {
    let bytes = base64_simd::STANDARD.decode_to_vec(base64).unwrap_or_default();
    bytes.try_into().unwrap_or_default()
}

fn state_of(revision: &Revision) -> State {
    match &revision.state {
        BuildState::Building => State::Pending,
        BuildState::Active => State::Active,
        BuildState::Failed(failure) => State::Failed(failure_of(failure)),
    }
}

/// `LastUpdateStatus` of what was built once and not changed since.
fn build_of(revision: &Revision) -> ShownUpdate {
    match &revision.state {
        BuildState::Building => ShownUpdate::InProgress,
        BuildState::Active => ShownUpdate::Successful,
        BuildState::Failed(failure) => ShownUpdate::Failed(failure_of(failure)),
    }
}

/// Why a build failed, as the API has it.
fn failure_of(failure: &BuildFailure) -> Failure {
    let code = match failure.slug.as_str() {
        "function.too-large" => FailureCode::Quota,
        "function.files" => FailureCode::Internal,
        "function.start" => FailureCode::FunctionError,
        _ => FailureCode::InvalidModule,
    };
    Failure { code, message: failure.reason.clone() }
}

/// An alias.
pub(super) fn alias_info(name: &str, alias: Alias) -> AliasInfo {
    AliasInfo {
        name: name.to_owned(),
        version: alias.version,
        weights: alias.canary.into_iter().collect(),
        description: alias.description,
        revision_id: alias.revision_id,
    }
}

/// What is set for the events of a target.
pub(super) fn event_info(target: Target, config: &StoredEvents) -> EventConfigInfo {
    EventConfigInfo {
        target,
        config: EventConfig {
            retries_max: config.retries,
            age_max_s: config.age_s,
            on_failure: config.on_failure.clone(),
        },
        modified_ms: config.modified_ms,
    }
}

#[cfg(test)]
mod tests {
    use millrace_catalog::{Code, Configuration as Stored};

    use super::*;

    fn function(last_update: LastUpdate) -> Function {
        let stored = serde_json::json!({
            "name": "f", "arn": "arn:f", "created_ms": 1, "latest": 1, "last_revision": 2, "last_update": last_update,
            "revision_id": "id", "versions": {}, "last_version": 0, "aliases": {}, "reserved_concurrency": null,
            "tags": {}, "event_configs": {}, "shadow": null,
        });
        serde_json::from_value(stored).expect("a function as the catalog stores it")
    }

    fn revision(number: u32, state: BuildState) -> Revision {
        Revision {
            function: "f".to_owned(),
            number,
            created_ms: i64::from(number),
            code: Code {
                sha256: String::new(),
                component_bytes: 1,
                uploaded_sha256: String::new(),
                uploaded_bytes: u64::from(number),
                world: "handler".to_owned(),
                imports: Vec::new(),
            },
            config: Stored::default(),
            state,
        }
    }

    fn failed(slug: &str) -> BuildFailure {
        BuildFailure { slug: slug.to_owned(), reason: slug.to_owned() }
    }

    #[test]
    fn the_state_is_of_what_a_call_would_reach() {
        let why = |slug| failure_of(&failed(slug));
        let (building, active) = (BuildState::Building, BuildState::Active);
        let was_bad = BuildState::Failed(failed("first"));
        let update_failed = LastUpdate::Failed(failed("second"));
        for (last_update, runs, number, state, status) in [
            (LastUpdate::Successful, &building, 1, State::Pending, ShownUpdate::InProgress),
            (LastUpdate::Successful, &active, 1, State::Active, ShownUpdate::Successful),
            (LastUpdate::Successful, &was_bad, 1, State::Failed(why("first")), ShownUpdate::Failed(why("first"))),
            (LastUpdate::InProgress(2), &active, 2, State::Active, ShownUpdate::InProgress),
            (LastUpdate::InProgress(2), &was_bad, 2, State::Failed(why("first")), ShownUpdate::InProgress),
            (update_failed.clone(), &active, 1, State::Active, ShownUpdate::Failed(why("second"))),
            (update_failed, &was_bad, 1, State::Failed(why("first")), ShownUpdate::Failed(why("second"))),
        ] {
            let told = format!("{last_update:?} over {runs:?}");
            let runs = revision(1, runs.clone());
            let next = revision(2, BuildState::Building);
            let shown = latest(&function(last_update), &runs, if number == 2 { &next } else { &runs });
            assert_eq!((&shown.state, &shown.last_update), (&state, &status), "{told}");
            assert_eq!((shown.code_bytes, shown.revision_id.as_str()), (number, "id"), "{told}");
        }
    }

    #[test]
    fn a_version_tells_of_its_own_build() {
        let published =
            Published { revision: 2, created_ms: 7, description: "second".to_owned(), revision_id: "own".to_owned() };
        for (state, shown_state, status) in [
            (BuildState::Building, State::Pending, ShownUpdate::InProgress),
            (BuildState::Active, State::Active, ShownUpdate::Successful),
            (
                BuildState::Failed(failed("x")),
                State::Failed(failure_of(&failed("x"))),
                ShownUpdate::Failed(failure_of(&failed("x"))),
            ),
        ] {
            let shown = version(3, &published, &revision(2, state));
            assert_eq!((shown.version, shown.modified_ms, shown.revision_id.as_str()), (Some(3), 7, "own"));
            assert_eq!((shown.configuration.description.as_str(), shown.state), ("second", shown_state));
            assert_eq!(shown.last_update, status);
        }
    }
}
