//! A connection that speaks HTTP: bytes become requests, one at a time, each finds its route, its permission and its
//! handler, and responses become bytes.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use visavis::session::SessionId;
use visavis::status::Refusal;

use crate::access::Via;
use crate::config::Limits;
use crate::connection_limits::RemoteEnd;
use crate::context::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::body::Framing;
use crate::http::request::{HttpReader, Request, Step};
use crate::http::response::Response;
use crate::http::route::{Call, CreatedHandler, Handler, Reply, WebSocketRequest};
use crate::http::routes::{Plan, Router, Target};
use crate::http::upload::{PIECE_BYTES, UploadWriter, upload};
use crate::io::Output;
use crate::mailbox::Ticket;
use crate::sessions::registry::CreateError;

/// Where a connection that speaks HTTP is.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    router: Arc<Router>,
    reader: HttpReader,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Before a request, or in its head.
    #[default]
    Head,
    /// A body is collected.
    Whole { request: Box<Request>, plan: Plan, options: ResponseOptions },
    /// A body is passed on in pieces; its answer comes later, or before its end.
    Upload { writer: UploadWriter, ticket: Ticket, options: ResponseOptions, full: bool },
    /// The request was read completely; the response comes from another thread, or once a session was created.
    Later { ticket: Ticket, options: ResponseOptions, once_created: Option<CreatedHandler> },
}

/// How to answer.
#[derive(Debug, Default)]
struct ResponseOptions {
    head_only: bool,
    keep_alive: bool,
    /// Who may read it.
    cors: Vec<(HeaderName, String)>,
    /// How the request came here.
    via: Via,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There may be more to do with the bytes that are here.
    Progress,
    /// A request is answered, or its body is read.
    Served,
    /// More bytes are needed.
    More,
    /// Reads nothing until the answer, or room for the upload, has come.
    Blocked,
    /// The output ends the connection.
    Close,
    /// HTTP ends here: a WebSocket to a session follows, after this 101.
    Upgrade(Response, WebSocketRequest),
}

/// What an HTTP connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Handshake,
    FirstRequest,
    RestOfRequest,
    NextRequest,
    /// The next byte of an upload, which may come slowly: speech has pauses.
    Upload,
    /// The server's own threads.
    Answer,
}

impl Waiting {
    /// How long that may take; what the server itself does has no limit.
    pub(crate) fn patience(self, limits: &Limits) -> Option<Duration> {
        match self {
            Self::Handshake => Some(limits.handshake_deadline),
            Self::FirstRequest | Self::RestOfRequest => Some(limits.request_deadline),
            Self::NextRequest | Self::Upload => Some(limits.idle_deadline),
            Self::Answer => None,
        }
    }
}

impl HttpConnection {
    pub(crate) fn new(router: Arc<Router>) -> Self {
        Self { router, reader: HttpReader::default(), state: State::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
    }

    /// What arrived behind the last request.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.reader.into_rest()
    }

    /// Whether part of a request has arrived.
    pub(crate) fn is_mid_request(&self) -> bool {
        !matches!(self.state, State::Head) || self.reader.is_mid_request()
    }

    /// What it waits for once the handshake is done.
    pub(crate) fn waits_for(&self) -> Waiting {
        match &self.state {
            State::Later { .. } | State::Upload { full: true, .. } => Waiting::Answer,
            State::Upload { full: false, .. } => Waiting::Upload,
            _ if self.is_mid_request() => Waiting::RestOfRequest,
            _ => Waiting::NextRequest,
        }
    }

    /// The prefix that a proxy has taken off the request that is being served.
    pub(crate) fn prefix(&self) -> &str {
        match &self.state {
            State::Head => "",
            State::Whole { options, .. }
            | State::Upload { options, .. }
            | State::Later { options, .. } => &options.via.prefix,
        }
    }

    /// Whether these are connections of a trusted proxy, which names the client with each request.
    pub(crate) fn trusts(&self, client: &RemoteEnd) -> bool {
        self.router.access().trusts(client.remote)
    }

    /// Does the next thing that can be done with the bytes that are here.
    pub(crate) fn step(
        &mut self,
        key: usize,
        client: &mut RemoteEnd,
        output: &mut Output,
        context: &mut Context,
    ) -> Outcome {
        let limits = context.config.limits;
        match mem::take(&mut self.state) {
            State::Head => match self.reader.next(&limits) {
                Step::More => Outcome::More,
                Step::Reject(error) => self.reject(error, None, output),
                Step::Head(request) => self.begin(request, key, client, output, context),
            },
            State::Whole { mut request, plan, options } => {
                // Reading one byte more than the limit detects a body that is too long.
                match self.reader.body(&mut request.body, limits.body_bytes.saturating_add(1)) {
                    Err(error) => self.reject(error, Some(options), output),
                    Ok(_) if request.body.len() > limits.body_bytes => {
                        self.reject(BODY_TOO_LARGE, Some(options), output)
                    }
                    Ok(true) => self.serve(&request, plan, options, key, output, context),
                    Ok(false) => {
                        self.state = State::Whole { request, plan, options };
                        Outcome::More
                    }
                }
            }
            State::Upload { writer, ticket, options, .. } => {
                self.pass_on(writer, ticket, options, output)
            }
            later @ State::Later { .. } => {
                self.state = later;
                Outcome::Blocked
            }
        }
    }

    /// Gives the answer that was to come later. An answer to a request that is over, or was never
    /// made on this connection, is no longer of interest.
    pub(crate) fn reply(
        &mut self,
        ticket: Ticket,
        response: Response,
        output: &mut Output,
    ) -> Option<Outcome> {
        let options = match mem::take(&mut self.state) {
            State::Later { ticket: own, options, .. } if own == ticket => options,
            // The rest of the body is of no interest, and where the next request starts unknown.
            State::Upload { ticket: own, options, .. } if own == ticket => {
                ResponseOptions { keep_alive: false, ..options }
            }
            other => {
                self.state = other;
                return None;
            }
        };
        Some(self.respond(response, options, output))
    }

    /// Makes the response that waits for a session, now that it was created or could not be.
    pub(crate) fn on_created(
        &mut self,
        ticket: Ticket,
        made: Result<SessionId, CreateError>,
        output: &mut Output,
        context: &Context,
    ) -> Option<Outcome> {
        let State::Later { ticket: own, options, once_created: Some(respond) } = &self.state else {
            return None;
        };
        if *own != ticket {
            return None;
        }
        let response = respond(made, &options.via, context);
        self.reply(ticket, response, output)
    }

    /// Decides what to do with a request, once its head is here.
    fn begin(
        &mut self,
        request: Box<Request>,
        key: usize,
        client: &mut RemoteEnd,
        output: &mut Output,
        context: &mut Context,
    ) -> Outcome {
        let router = Arc::clone(&self.router);
        let via = router.access().via(&request.headers, client.remote);
        let mut options = ResponseOptions {
            head_only: request.method == Method::HEAD,
            keep_alive: request.keep_alive && !client.reserved,
            cors: router.cors().headers(&request),
            via,
        };
        // A proxy names the client with each request.
        if options.via.source != client.source {
            context.connections.remove(client.source.take());
            if !context.connections.add(options.via.source, &context.config.limits) {
                context.refuse(Refusal::Connection);
                return self.reject(TOO_MANY_CONNECTIONS, Some(options), output);
            }
            client.source = options.via.source;
        }
        let plan = router.plan(&request, &options.via, client.reserved, context.engine.refusals());
        let target = match plan {
            Plan::Call(target) if matches!(target.handler, Handler::Upload(_)) => target,
            plan => return self.collect(request, plan, options, output, context),
        };
        let Target { handler: Handler::Upload(handler), permission, params } = target else {
            return self.respond(contradiction().into(), options, output);
        };
        let principal = match context.authority.identify(&request, &options.via) {
            Ok(principal) => principal,
            Err(error) => return self.refuse_upload(error, &request, options, output),
        };
        let ticket = context.new_ticket(key);
        context.http_requests += 1;
        let call = Call {
            request: &request,
            params: &params,
            via: &options.via,
            principal: &principal,
            ticket,
        };
        if let Err(error) = call.permit_route(permission, context) {
            return self.refuse_upload(error, &request, options, output);
        }
        let (writer, reader) = upload(context.mailbox.clone(), ticket);
        match handler(&call, reader, context) {
            Reply::Later => {
                self.go_on(&request, output);
                self.state = State::Upload { writer, ticket, options, full: false };
                Outcome::Progress
            }
            Reply::Response(response) => {
                options.keep_alive &= request.framing == Framing::Done;
                self.respond(response, options, output)
            }
            Reply::Upgrade(..) | Reply::OnceCreated(_) => {
                self.respond(contradiction().into(), options, output)
            }
        }
    }

    /// Refuses an upload before any of its body is read.
    fn refuse_upload(
        &mut self,
        error: RequestError,
        request: &Request,
        mut options: ResponseOptions,
        output: &mut Output,
    ) -> Outcome {
        options.keep_alive &= request.framing == Framing::Done;
        self.respond(error.into(), options, output)
    }

    /// Starts collecting the body of a request, unless the request is refused by its head.
    fn collect(
        &mut self,
        request: Box<Request>,
        plan: Plan,
        mut options: ResponseOptions,
        output: &mut Output,
        context: &Context,
    ) -> Outcome {
        let most = u64::try_from(context.config.limits.body_bytes).unwrap_or(u64::MAX);
        if matches!(request.framing, Framing::Length(length) if length > most) {
            return self.reject(BODY_TOO_LARGE, Some(options), output);
        }
        match plan {
            Plan::Respond(response) if request.expects_continue => {
                // The body may or may not follow: where the next request starts cannot be known.
                options.keep_alive = false;
                self.respond(*response, options, output)
            }
            plan => {
                self.go_on(&request, output);
                self.state = State::Whole { request, plan, options };
                Outcome::Progress
            }
        }
    }

    /// Asks for the body of a client that waits to be asked (RFC 9110 §10.1.1).
    fn go_on(&self, request: &Request, output: &mut Output) {
        if request.expects_continue && !self.reader.has_bytes() {
            output.push(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn serve(
        &mut self,
        request: &Request,
        plan: Plan,
        options: ResponseOptions,
        key: usize,
        output: &mut Output,
        context: &mut Context,
    ) -> Outcome {
        let response = match plan {
            Plan::Call(target) => {
                let ticket = context.new_ticket(key);
                context.http_requests += 1;
                match self.call(target, request, &options, ticket, context) {
                    Reply::Response(response) => response,
                    Reply::Upgrade(response, opened) => return Outcome::Upgrade(response, opened),
                    Reply::Later => return self.wait(ticket, options, None),
                    Reply::OnceCreated(handler) => {
                        return self.wait(ticket, options, Some(handler));
                    }
                }
            }
            Plan::Respond(response) => *response,
        };
        let response = context.files.as_page(response, request);
        self.respond(response, options, output)
    }

    /// Calls a handler, if the caller has the permission.
    fn call(
        &self,
        target: Target,
        request: &Request,
        options: &ResponseOptions,
        ticket: Ticket,
        context: &mut Context,
    ) -> Reply {
        let Target { handler: Handler::Whole(handler), permission, params } = target else {
            return Reply::Response(contradiction().into());
        };
        let principal = match context.authority.identify(request, &options.via) {
            Ok(principal) => principal,
            Err(error) => return Reply::Response(error.into()),
        };
        let (params, via, principal) = (&params, &options.via, &principal);
        let call = Call { request, params, via, principal, ticket };
        match call.permit_route(permission, context) {
            Ok(()) => handler(&call, context),
            Err(error) => Reply::Response(error.into()),
        }
    }

    fn wait(
        &mut self,
        ticket: Ticket,
        options: ResponseOptions,
        once_created: Option<CreatedHandler>,
    ) -> Outcome {
        self.state = State::Later { ticket, options, once_created };
        Outcome::Served
    }

    /// Passes on what has arrived of an upload.
    fn pass_on(
        &mut self,
        writer: UploadWriter,
        ticket: Ticket,
        mut options: ResponseOptions,
        output: &mut Output,
    ) -> Outcome {
        if !writer.has_room() {
            self.state = State::Upload { writer, ticket, options, full: true };
            return Outcome::Blocked;
        }
        let mut piece = Vec::new();
        let done = match self.reader.body(&mut piece, PIECE_BYTES) {
            Ok(done) => done,
            Err(error) => return self.reject(error, Some(options), output),
        };
        let empty = piece.is_empty();
        if !empty && !writer.write(piece) {
            // The reader has seen enough; its answer is on its way.
            options.keep_alive &= done;
            return self.wait(ticket, options, None);
        }
        if done {
            writer.finish();
            return self.wait(ticket, options, None);
        }
        self.state = State::Upload { writer, ticket, options, full: false };
        if empty { Outcome::More } else { Outcome::Progress }
    }

    /// Answers what leaves the stream out of step.
    fn reject(
        &mut self,
        error: RequestError,
        options: Option<ResponseOptions>,
        output: &mut Output,
    ) -> Outcome {
        let mut options = options.unwrap_or_default();
        options.keep_alive = false;
        self.respond(error.into(), options, output)
    }

    fn respond(
        &mut self,
        mut response: Response,
        options: ResponseOptions,
        output: &mut Output,
    ) -> Outcome {
        response = response.behind(&options.via.prefix);
        for (name, value) in options.cors {
            response = response.header(name, value);
        }
        output.push(&response.to_bytes(options.head_only, options.keep_alive));
        self.state = State::Head;
        if options.keep_alive { Outcome::Served } else { Outcome::Close }
    }
}

const BODY_TOO_LARGE: RequestError =
    RequestError::fixed(ErrorCode::BodyTooLarge, "the request body is too large");

/// A source that has as many connections as it may.
pub(crate) const TOO_MANY_CONNECTIONS: RequestError =
    RequestError::fixed(ErrorCode::RateLimited, "too many connections at once from this address");

/// For what the table of routes rules out.
fn contradiction() -> RequestError {
    RequestError::fixed(ErrorCode::Internal, "this route contradicts itself")
}
