//! Settings of the HTTP API that makes sessions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use visavis::SessionConfig;
use visavis::idle::IdleLoop;
use visavis_types::setters;

use super::hooks::SessionHooks;

/// Settings of the HTTP API that makes sessions.
///
/// For each field there is a method of the same name that sets it.
#[derive(Clone)]
#[non_exhaustive]
pub struct SessionApi {
    /// Whether sessions can be created, listed and ended over HTTP. There is no authentication: anyone who can reach the
    /// port may do so. Watching does not need it. Default: `false`.
    pub manage: bool,
    /// Whether each visitor who names no session gets a session of their own, created like others and ended
    /// half a minute after its visitor has left. Otherwise all of them watch
    /// [`SignalingConfig::default_session`](crate::SignalingConfig::default_session). Default: `false`.
    pub per_visitor: bool,
    /// Sessions made over HTTP and for visitors at once; one more is answered 503 with the code `full`.
    /// Default: 100.
    pub max_sessions: usize,
    /// What a request leaves open is as it is here. The id is not taken from it. Default:
    /// `SessionConfig::default()`.
    pub template: SessionConfig,
    /// Idle loops that requests may ask for, by name. Default: none.
    pub idle_loops: BTreeMap<String, IdleLoop>,
    /// Called for each session, so that the application pushes media into it. Default: `None`.
    pub hooks: Option<Arc<dyn SessionHooks>>,
}

impl SessionApi {
    setters! {
        manage: bool,
        per_visitor: bool,
        max_sessions: usize,
        template: SessionConfig,
        into idle_loops: BTreeMap<String, IdleLoop>,
        into hooks: Option<Arc<dyn SessionHooks>>,
    }
}

impl Default for SessionApi {
    fn default() -> Self {
        Self {
            manage: false,
            per_visitor: false,
            max_sessions: 100,
            template: SessionConfig::default(),
            idle_loops: BTreeMap::new(),
            hooks: None,
        }
    }
}

impl fmt::Debug for SessionApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionApi")
            .field("manage", &self.manage)
            .field("per_visitor", &self.per_visitor)
            .field("max_sessions", &self.max_sessions)
            .field("template", &self.template)
            .field("idle_loops", &self.idle_loops.keys())
            .field("hooks", &self.hooks.is_some())
            .finish()
    }
}
