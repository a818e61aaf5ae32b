#include "router/io/registry_watcher.hpp"

#include <algorithm>
#include <charconv>

#include "common/core/header_rules.hpp"
#include "common/core/percent_codec.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAnswerTimeout = 10s;  // as the original router's
constexpr Duration kLongestWait = 60s;    // a registry waits no longer
constexpr Duration kFirstRetry = 200ms;
// Of a very large fleet whole lists are taken less often: at most a fiftieth of the time goes into them.
constexpr int kListShare = 50;
// So that a registry that answers too often, or nonsense, cannot keep us busy.
constexpr Duration kRestAfterList = 5ms;
constexpr Duration kRestAfterGap = 100ms;
constexpr Duration kRestAfterTrouble = 1s;
constexpr std::size_t kMaxAnswerBytes = std::size_t{64} << 20U;

BackoffSettings backoff_for(Duration sync_interval) { return {std::min(kFirstRetry, sync_interval), sync_interval}; }

std::string_view field_of(const HttpReply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.fields) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

}  // namespace

std::string_view to_string(RegistryLink link) {
  switch (link) {
    case RegistryLink::never_reached: return "never_reached";
    case RegistryLink::polling: return "polling";
    case RegistryLink::watching: return "watching";
  }
  return "";
}

RegistryWatcher::RegistryWatcher(asio::any_io_executor executor, HttpClient& client, RegistryWatcherSettings settings,
                                 Random& random, RegistryWatcherCallbacks callbacks)
    : executor_(executor),
      client_(client),
      settings_(std::move(settings)),
      random_(random),
      callbacks_(std::move(callbacks)),
      timer_(executor),
      backoff_(backoff_for(settings_.sync_interval)) {}

void RegistryWatcher::start(TaskGroup& tasks) {
  tasks_ = &tasks;
  tasks.spawn("registry watcher", run(generation_));
}

void RegistryWatcher::stop() {
  stopping_ = true;
  timer_.cancel();
}

void RegistryWatcher::reconfigure(RegistryWatcherSettings settings) {
  const bool other = settings.registry != settings_.registry;
  settings_ = std::move(settings);
  backoff_ = Backoff(backoff_for(settings_.sync_interval));
  if (other && tasks_ != nullptr) {
    forget();
    // The old one may be in the middle of a long wait: it ends when it comes back from there.
    tasks_->spawn("registry watcher", run(++generation_));
  }
  timer_.cancel();  // a pause may have been longer than the new interval
}

void RegistryWatcher::forget() {
  link_ = RegistryLink::never_reached;
  revision_ = 0;
  epoch_.clear();
  warming_ = false;
  need_whole_list_ = true;
  last_contact_.reset();
  failing_since_.reset();
  last_error_.clear();
}

std::optional<Duration> RegistryWatcher::age(TimePoint now) const {
  if (!last_contact_) return std::nullopt;
  return std::max(now - *last_contact_, Duration::zero());
}

asio::awaitable<void> RegistryWatcher::run(std::uint64_t generation) {
  while (!stopping_ && generation == generation_) {
    const Question question = next_question();
    // After a failure the first question is not to wait: that the registry is back should be known at once.
    const bool waits = question == Question::changes && !failing_since_;
    const Duration wait = waits ? std::min(settings_.sync_interval, kLongestWait) : Duration::zero();
    const TimePoint began = steady_now();
    counters_.polls += question == Question::poll ? 1U : 0U;
    const auto reply = co_await client_.call(call_for(question, wait), Deadline::after(began, wait + kAnswerTimeout));
    if (stopping_ || generation != generation_) break;
    rest_ = Duration::zero();
    const auto current = take(question, reply, steady_now() - began < wait / 2);
    if (!current) {
      note_failure(current.error(), steady_now());
      rest_ = backoff_.next(random_());
    } else if (*current) {
      note_success(steady_now());
    }
    co_await pause(rest_);
  }
}

asio::awaitable<void> RegistryWatcher::pause(Duration time) {
  if (time <= Duration::zero()) co_return;
  timer_.expires_after(time);
  co_await timer_.async_wait(kTok);
}

RegistryWatcher::Question RegistryWatcher::next_question() const {
  if (link_ != RegistryLink::watching) return Question::poll;
  if (need_whole_list_) return Question::whole_list;
  const Duration every = std::max<Duration>(settings_.sync_interval, kListShare * list_took_);
  // After a failure a short question first: that the registry is back should be known at once.
  const bool due = !failing_since_ && steady_now() - whole_list_at_ >= every;
  return due ? Question::whole_list : Question::changes;
}

HttpCall RegistryWatcher::call_for(Question question, Duration wait) const {
  HttpCall call;
  call.url = settings_.registry;
  while (call.url.path.ends_with('/')) call.url.path.pop_back();
  call.url.path += "/services";
  call.max_body_bytes = kMaxAnswerBytes;
  if (!settings_.token.empty()) call.fields.emplace_back("Authorization", "Bearer " + settings_.token);
  const std::string known = "since=" + std::to_string(revision_) + "&epoch=" + percent_encode(epoch_);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  const std::string waiting = "&wait=" + std::to_string(milliseconds) + "ms";
  switch (question) {
    case Question::poll: call.url.query = "healthy=true"; break;
    case Question::whole_list: break;
    case Question::changes: call.url.query = "changes=true&" + known + (wait > Duration::zero() ? waiting : ""); break;
  }
  return call;
}

/// True: what is known is now as the registry has it.
Result<bool> RegistryWatcher::take(Question question, const Result<HttpReply>& reply, bool early) {
  if (!reply) return reply.error();
  if (reply->status != 200) {
    return unavailable("the registry answered with status " + std::to_string(reply->status));
  }
  const TimePoint began = steady_now();
  auto answer = read_registry_answer(reply->body);
  if (!answer) return answer.error();
  note_unreadable(answer->unreadable, answer->unreadable_reason);
  const bool watchable = !field_of(*reply, "X-Registry-Revision").empty() && answer->revision && !answer->epoch.empty();
  if (question == Question::poll) {
    if (!answer->is_list) return protocol_error("the registry's answer has no list of services");
    // Of one that can be watched the list of healthy ones is not taken: the watch starts from the whole one.
    link_ = watchable ? RegistryLink::watching : RegistryLink::polling;
    need_whole_list_ = watchable;
    if (watchable) return false;
    take_list(*answer, true);
    rest_ = settings_.sync_interval;
    return true;
  }
  if (!watchable) {
    // Another registry has taken its place, one that is to be polled.
    link_ = RegistryLink::polling;
    rest_ = std::min(settings_.sync_interval, kRestAfterTrouble);
    return false;
  }
  if (answer->is_list) {
    const bool after_gap = need_whole_list_;
    take_list(*answer, false);
    list_took_ = steady_now() - began;
    // A list costs much more than a change: at most a fifth of the time goes into those that gaps make necessary.
    rest_ = after_gap ? std::max(4 * list_took_, kRestAfterList) : kRestAfterList;
    return true;
  }
  if (early && answer->changes.empty()) rest_ = std::min(settings_.sync_interval, kRestAfterTrouble);
  need_whole_list_ = !take_changes(*answer);
  if (warming_ && !answer->warming && !need_whole_list_) {
    rest_ = Duration::zero();
    need_whole_list_ = true;  // while it was warming nothing was dropped for not being listed: now that counts
    return true;
  }
  if (need_whole_list_) rest_ = std::min(settings_.sync_interval, kRestAfterGap);
  return !need_whole_list_;
}

void RegistryWatcher::take_list(RegistryAnswer& answer, bool healthy_only) {
  keep_allowed(answer.specs);
  if (!healthy_only) {
    ++counters_.resyncs;
    revision_ = *answer.revision;
    epoch_ = answer.epoch;
    warming_ = answer.warming;
    need_whole_list_ = false;
    whole_list_at_ = steady_now();
  }
  callbacks_.on_list(std::move(answer.specs), healthy_only, answer.warming);
}

/// False: something is missing between what is known and what was told.
bool RegistryWatcher::take_changes(RegistryAnswer& answer) {
  if (answer.epoch != epoch_ || *answer.revision < revision_) return false;
  if (*answer.revision - revision_ != answer.changes.size()) return false;
  std::uint64_t expected = revision_;
  for (const auto& change : answer.changes) {
    if (change.revision != ++expected) return false;
  }
  revision_ = *answer.revision;
  counters_.watch_events += answer.changes.size();
  for (auto& change : answer.changes) {
    if (!change.tells) continue;
    if (change.spec && !allowed(*change.spec)) change.spec.reset();
    callbacks_.on_change(change.name, std::move(change.spec));
  }
  return true;
}

bool RegistryWatcher::allowed(const UpstreamSpec& spec) {
  const auto address = IpAddress::parse(spec.endpoint.host);
  const auto refusal = address ? settings_.upstreams.refusal(*address) : std::nullopt;
  if (refusal) note_unreadable(1, "service '" + spec.name + "': " + *refusal);
  return !refusal;
}

void RegistryWatcher::keep_allowed(std::vector<UpstreamSpec>& specs) {
  std::erase_if(specs, [this](const UpstreamSpec& spec) { return !allowed(spec); });
}

void RegistryWatcher::note_unreadable(std::size_t count, const std::string& reason) {
  if (count == 0) return;
  counters_.unreadable += count;
  if (const auto pass = unreadable_limit_.check(steady_now())) {
    log_.warn("services of the registry are passed over",
              {{"count", count}, {"first", reason}, {"lines_held_back", pass->suppressed}});
  }
}

void RegistryWatcher::note_success(TimePoint now) {
  if (failing_since_ || !last_contact_) {
    const double down = failing_since_ ? std::chrono::duration<double>(now - *failing_since_).count() : 0.0;
    log_.info(last_contact_ ? "the registry answers again" : "the registry answers",
              {{"registry", settings_.registry.to_string()}, {"mode", to_string(link_)}, {"down_seconds", down}});
  }
  last_contact_ = now;
  backoff_.reset();
  failing_since_.reset();
  last_error_.clear();
  if (callbacks_.on_contact) callbacks_.on_contact(now);
}

void RegistryWatcher::note_failure(const Error& error, TimePoint now) {
  ++counters_.errors;
  last_error_ = error.to_string();
  if (failing_since_) return;
  failing_since_ = now;
  log_.error("the registry cannot be used; what is known of services stays",
             {{"registry", settings_.registry.to_string()}, {"error", last_error_}});
}

}  // namespace svc::router
