#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {

PromptState& ClientSession::prompt_state() {
  if (x().prompt == nullptr) {
    x().prompt = std::make_unique<PromptState>();
  }
  return *x().prompt;
}

bool ClientSession::logs_prompts() const {
  const RouterSettings& settings = thread_.settings().settings;
  return settings.access_log_prefixes && settings.access_log != "off";
}

void ClientSession::take_prompt(const FactsReader::Reading& reading) {
  PromptState& prompt = prompt_state();
  reading.shape_prompt(x().table->served_name(x().model), thread_.settings().settings.prefix.block_bytes, prompt.shape);
  if (logs_prompts()) {
    append_prefix_text(prompt.prefix, prompt.shape);
  }
  prompt.shape.key_hash = x().facts.prompt_cache_key.empty() ? 0 : hash_key(x().facts.prompt_cache_key) | 1U;
}

std::uint64_t ClientSession::session_hash(const RequestHead& head) const {
  const RequestFacts& facts = x().facts;
  std::string_view name = head.field(thread_.settings().settings.session_header);
  if (!facts.prompt_cache_key.empty()) {
    name = facts.prompt_cache_key;
  } else if (!facts.user.empty()) {
    name = facts.user;
  }
  return name.empty() ? 0 : hash_key(name) | 1U;
}

PrefixAsk ClientSession::prefix_ask() {
  PrefixAsk ask{x().group,        &x().table->settings(), &prompt_state().shape, x().table->served_name(x().model),
                x().pick_context, x().facts.stream};
  ask.request_id = x().request_id;
  ask.began = x().began;
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
    return pick(*x().group, x().table->settings(), x().pick_context);
  }
  const auto& settings = x().table->settings();
  PrefixAsk ask = prefix_ask();
  // Who has failed once has waited enough.
  ask.context.hold = settings.prefix.hold && x().tried.empty() && thread_.plane().queues.settings().max_waiting > 0;
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
  return [x = &x(), book = &thread_.plane().prefix, shape = &prompt_state().shape] {
    PrefixAsk ask{nullptr, nullptr, shape, x->ticket.model, x->pick_context, x->facts.stream};
    ask.context.now = steady_now();
    ask.context.tried = x->tried;
    ask.context.hold = x->tried.empty();
    return book->has_place(x->model, ask);
  };
}

void ClientSession::take_priority(const RequestHead& head) {
  x().priority = x().key != nullptr ? x().key->priority : Priority::standard;
  const auto wanted = parse_priority(trim_blanks(head.field("X-Priority")));
  // A key's class is the best that its requests may have.
  if (wanted && (x().key == nullptr || *wanted > x().priority)) {
    x().priority = *wanted;
  }
}

std::uint64_t ClientSession::owner() const { return x().key != nullptr ? hash_key(x().key->name) : 0; }

void ClientSession::prompt_sent() {
  if (x().prompt != nullptr && x().prompt->load) {
    thread_.plane().prefix.cached(x().prompt->load, x().prompt->shape);
  }
}

void ClientSession::prompt_judged() {
  if (x().prompt != nullptr && x().prompt->load.stake) {
    thread_.plane().prefix.answered(x().prompt->load, x().prompt->shape, x().status < 300);
  }
}

void ClientSession::prompt_done() {
  // A refusal comes before any work: an instance that fails fast would be learned as the fastest of all.
  if (x().prompt == nullptr || !x().prompt->load || x().status >= 300) {
    return;
  }
  auto& plane = thread_.plane();
  plane.prefix.first_byte(x().prompt->load, now());
  if (x().table->settings().prefix.hold) {
    room_made(x().upstream->spec);
  }
}

void ClientSession::room_made(const UpstreamSpec& spec) {
  auto& queues = thread_.plane().queues;
  if (thread_.settings().settings.queue.max_waiting == 0 && queues.waiting_in_all() == 0) {
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
  if (x().prompt == nullptr || !x().prompt->load) {
    return;
  }
  Outcome outcome;
  outcome.complete = std::exchange(x().answer_whole, false);
  const Usage usage = x().tally.usage();
  if (outcome.complete) {
    outcome.pieces = x().tally.events();
    outcome.streaming = x().event_stream ? x().last_piece - x().first_content : Duration::zero();
    outcome.answering = x().first_byte != TimePoint{} ? now() - x().first_byte : Duration::zero();
    outcome.prompt_tokens = usage.known ? usage.prompt_tokens : 0;
    outcome.completion_tokens = usage.completion_tokens;
    if (usage.cached_known) outcome.cached_tokens = usage.cached_tokens;
  }
  thread_.plane().prefix.ended(x().prompt->load, x().prompt->shape, x().table->served_name(x().model), outcome, now());
  x().prompt->load = {};
}

}  // namespace svc::router
