//! The requests of one connection and their answers, one at a time.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use visavis::Refusal;

use crate::Limits;
use crate::access::Via;
use crate::connection::Context;
use crate::error::{ErrorCode, RequestError};
use crate::http::{
    Call, Framing, Handler, HttpReader, PIECE_BYTES, Plan, Reply, Request, Response, Step, Target,
    UploadWriter, Visit, upload,
};
use crate::io::Output;
use crate::mailbox::Ticket;
use crate::places::Client;

/// Where a connection that speaks HTTP is.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
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
    /// All that is to be read was read; the answer comes from another thread.
    Later { ticket: Ticket, options: ResponseOptions },
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
    /// Nothing is to be read before an answer, or room, has come.
    Blocked,
    /// The output ends the connection.
    Close,
    /// HTTP ends here: a WebSocket to a session follows, after this 101.
    Upgrade(Response, Visit),
}

/// What an HTTP connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Handshake,
    FirstRequest,
    RestOfRequest,
    NextRequest,
    /// Any byte of an upload, however slowly they come: a voice makes pauses.
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

impl Exchange {
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

    /// Does the next thing that can be done with the bytes that are here.
    pub(crate) fn step(
        &mut self,
        key: usize,
        client: &mut Client,
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
                // One byte more than is allowed tells that there is too much.
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
            State::Later { ticket: own, options } if own == ticket => options,
            // The rest of the body is of no interest, and where the next request starts unknown.
            State::Upload { ticket: own, options, .. } if own == ticket => {
                ResponseOptions { keep_alive: false, ..options }
            }
            other => {
                self.state = other;
                return None;
            }
        };
        Some(self.answer(response, options, output))
    }

    /// Decides what to do with a request, once its head is here.
    fn begin(
        &mut self,
        request: Box<Request>,
        key: usize,
        client: &mut Client,
        output: &mut Output,
        context: &mut Context,
    ) -> Outcome {
        let routes = Arc::clone(&context.routes);
        let via = routes.access().via(&request.headers, client.remote);
        let mut options = ResponseOptions {
            head_only: request.method == Method::HEAD,
            keep_alive: request.keep_alive && !client.reserved,
            cors: routes.cors().headers(&request),
            via,
        };
        // A proxy says with each request for whom it is.
        if options.via.source != client.source {
            context.places.give_back(client.source.take());
            if !context.places.take(options.via.source, &context.config.limits) {
                context.refuse(Refusal::Connection);
                return self.reject(TOO_MANY_CONNECTIONS, Some(options), output);
            }
            client.source = options.via.source;
        }
        let plan = routes.plan(&request, &options.via, client.reserved, context.engine.refusals());
        let target = match plan {
            Plan::Call(target) if matches!(target.handler, Handler::Upload(_)) => target,
            plan => return self.collect(request, plan, options, output, context),
        };
        let Target { handler: Handler::Upload(handler), params } = target else {
            return self.answer(nonsense(), options, output);
        };
        let ticket = context.new_ticket(key);
        let (writer, reader) = upload(context.mailbox.clone(), ticket);
        let call = Call { request: &request, params: &params, via: &options.via, ticket };
        match handler(&call, reader, context) {
            Reply::Later => {
                self.go_on(&request, output);
                self.state = State::Upload { writer, ticket, options, full: false };
                Outcome::Progress
            }
            Reply::Response(response) => {
                options.keep_alive &= request.framing == Framing::Done;
                self.answer(response, options, output)
            }
            Reply::Upgrade(..) => self.answer(nonsense(), options, output),
        }
    }

    /// Has the body of a request collected, unless it is clear already that nobody wants it.
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
            Plan::Answer(response) if request.expects_continue => {
                // The body may or may not follow: where the next request starts cannot be known.
                options.keep_alive = false;
                self.answer(*response, options, output)
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
        let (handler, params) = match plan {
            Plan::Call(Target { handler: Handler::Whole(handler), params }) => (handler, params),
            Plan::Answer(response) => {
                let response = context.routes.files.in_words(*response, request);
                return self.answer(response, options, output);
            }
            Plan::Call(_) => return self.answer(nonsense(), options, output),
        };
        let ticket = context.new_ticket(key);
        match handler(&Call { request, params: &params, via: &options.via, ticket }, context) {
            Reply::Response(response) => {
                let response = context.routes.files.in_words(response, request);
                self.answer(response, options, output)
            }
            Reply::Upgrade(response, visit) => Outcome::Upgrade(response, visit),
            Reply::Later => {
                self.state = State::Later { ticket, options };
                Outcome::Served
            }
        }
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
            self.state = State::Later { ticket, options };
            return Outcome::Served;
        }
        if done {
            writer.finish();
            self.state = State::Later { ticket, options };
            return Outcome::Served;
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
        self.answer(error.into(), options, output)
    }

    fn answer(
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
    RequestError::fixed(ErrorCode::BodyTooLarge, "the request's body is too large");

/// A source that has as many connections as it may.
pub(crate) const TOO_MANY_CONNECTIONS: RequestError =
    RequestError::fixed(ErrorCode::RateLimited, "too many connections at once from this address");

/// For what the table of routes rules out.
fn nonsense() -> Response {
    Response::problem(ErrorCode::Internal, "this route contradicts itself")
}
