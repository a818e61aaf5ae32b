#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {

PromptState& ClientSession::prompt_state() {
  if (x_.prompt == nullptr) {
    x_.prompt = std::make_unique<PromptState>();
  }
  return *x_.prompt;
}

PrefixAsk ClientSession::prefix_ask() {
  PrefixAsk ask{x_.group,        &x_.table->settings(), &prompt_state().shape, x_.table->served_name(x_.model),
                x_.pick_context, x_.facts.stream};
  ask.request_id = x_.request_id;
  ask.began = x_.began;
  return ask;
}

double ClientSession::own_seconds() {
  if (!by_prefix()) {
    return 0;
  }
  const PrefixChoice choice = thread_.plane().prefix.outlook(prefix_ask());
  prompt_state().held = choice.held;
  return choice.appraisal.own;
}

PickResult ClientSession::choose_upstream(double& seconds) {
  if (!by_prefix()) {
    return pick(*x_.group, x_.table->settings(), x_.pick_context);
  }
  const auto& settings = x_.table->settings();
  PrefixAsk ask = prefix_ask();
  // Who has failed once has waited enough.
  ask.context.hold = settings.prefix.hold && x_.tried.empty() && thread_.plane().queues.settings().max_waiting > 0;
  const PrefixChoice choice = thread_.plane().prefix.choose(ask);
  PromptState& prompt = prompt_state();
  prompt.load = choice.ticket;
  prompt.matched_tokens = choice.appraisal.matched;
  prompt.predicted_wait = choice.appraisal.wait;
  prompt.candidates = choice.candidates;
  prompt.held = choice.held;
  seconds = choice.appraisal.own;
  return choice.picked;
}

std::function<WaitOrder::Place()> ClientSession::readiness() {
  if (!by_prefix()) {
    return {};
  }
  // What it points to stays as it is while the request waits, and it is asked no more once leave() has returned.
  return [this, book = &thread_.plane().prefix, shape = &prompt_state().shape] {
    PrefixAsk ask{nullptr, nullptr, shape, x_.ticket.model, x_.pick_context, x_.facts.stream};
    ask.context.now = steady_now();
    ask.context.tried = x_.tried;
    ask.context.hold = x_.tried.empty();
    return book->has_place(x_.model, ask);
  };
}

void ClientSession::take_priority(const RequestHead& head) {
  x_.priority = x_.key != nullptr ? x_.key->priority : Priority::standard;
  const auto wanted = parse_priority(trim_blanks(head.field("X-Priority")));
  // A key's class is the best that its requests may have.
  if (wanted && (x_.key == nullptr || *wanted > x_.priority)) {
    x_.priority = *wanted;
  }
}

std::uint64_t ClientSession::owner() const { return x_.key != nullptr ? hash_key(x_.key->name) : 0; }

void ClientSession::prompt_sent() {
  if (x_.prompt != nullptr && x_.prompt->load) {
    thread_.plane().prefix.cached(x_.prompt->load, x_.prompt->shape);
  }
}

void ClientSession::prompt_judged() {
  if (x_.prompt != nullptr && x_.prompt->load.stake) {
    thread_.plane().prefix.answered(x_.prompt->load, x_.prompt->shape, x_.status < 300);
  }
}

void ClientSession::prompt_done() {
  // A refusal comes before any work: an instance that fails fast would be learned as the fastest of all.
  if (x_.prompt == nullptr || !x_.prompt->load || x_.status >= 300) {
    return;
  }
  auto& plane = thread_.plane();
  plane.prefix.first_byte(x_.prompt->load, now());
  if (x_.table->settings().prefix.hold) {
    room_made(x_.upstream->spec);
  }
}

void ClientSession::room_made(const UpstreamSpec& spec) {
  auto& queues = thread_.plane().queues;
  if (thread_.settings().settings.queue.max_waiting == 0) {
    return;
  }
  // Counted also when nobody waits: one may be about to.
  if (spec.models.empty()) {
    queues.slot_freed_any();
  }
  for (const auto& model : spec.models) {
    queues.slot_freed(model);
  }
}

void ClientSession::end_load() {
  if (x_.prompt == nullptr || !x_.prompt->load) {
    return;
  }
  Outcome outcome;
  outcome.complete = std::exchange(x_.answer_whole, false);
  const Usage usage = x_.tally.usage();
  if (outcome.complete) {
    outcome.pieces = x_.tally.events();
    outcome.streaming = x_.event_stream ? x_.last_piece - x_.first_content : Duration::zero();
    outcome.answering = x_.first_byte != TimePoint{} ? now() - x_.first_byte : Duration::zero();
    outcome.prompt_tokens = usage.known ? usage.prompt_tokens : 0;
    outcome.completion_tokens = usage.completion_tokens;
    if (usage.cached_known) outcome.cached_tokens = usage.cached_tokens;
  }
  thread_.plane().prefix.ended(x_.prompt->load, x_.prompt->shape, x_.table->served_name(x_.model), outcome, now());
  x_.prompt->load = {};
}

}  // namespace svc::router
