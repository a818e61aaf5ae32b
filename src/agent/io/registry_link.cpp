#include "agent/io/registry_link.hpp"

#include <utility>

#include "agent/core/registration.hpp"
#include "common/core/duration_text.hpp"
#include "common/core/percent_codec.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAnswerTimeout = 5s;
constexpr std::size_t kMaxAnswerBytes = 1024 * 1024;  ///< the answer to a registration is the service as it is listed
constexpr std::size_t kShownOfAnswer = 300;

std::string_view word_of(LeaseCall call) {
  switch (call) {
    case LeaseCall::none: return "";
    case LeaseCall::enroll: return "register";
    case LeaseCall::heartbeat: return "heartbeat";
    case LeaseCall::withdraw: return "unregister";
  }
  return "";
}

std::string reason_of(const Result<HttpReply>& reply) {
  if (!reply) return reply.error().to_string();
  return "status " + std::to_string(reply->status) + ": " + reply->body.substr(0, kShownOfAnswer);
}

std::optional<HttpUrl> base_url(const std::string& text) {
  auto url = parse_http_url(text);
  if (!url) return std::nullopt;
  while (url->path.ends_with('/')) url->path.pop_back();
  url->query.clear();
  return *std::move(url);
}

}  // namespace

RegistryLink::RegistryLink(asio::any_io_executor executor, HttpClient& client, Random& random, std::string registry_url,
                           std::string token, std::string name, Duration interval, Bodies bodies)
    : client_(client),
      random_(random),
      registry_(base_url(registry_url)),
      token_(std::move(token)),
      name_(std::move(name)),
      bodies_(std::move(bodies)),
      keeper_(interval),
      wake_(executor),
      settled_(executor) {
  if (!registry_ && !registry_url.empty()) {
    log_.error("the registry's URL is not one; nothing is registered", {{"name", name_}, {"url", registry_url}});
  }
}

void RegistryLink::start(TaskGroup& tasks) {
  if (registry_) tasks.spawn("registry link", run());
}

void RegistryLink::want() {
  if (!registry_) return;
  keeper_.want(steady_now());
  wake_.cancel();
}

void RegistryLink::want_gone() {
  keeper_.want_gone(steady_now());
  wake_.cancel();
}

void RegistryLink::hurry() {
  keeper_.hurry(steady_now());
  wake_.cancel();
}

void RegistryLink::stop() {
  stopped_ = true;
  wake_.cancel();
  settled_.cancel();
}

asio::awaitable<bool> RegistryLink::gone(Deadline deadline) {
  while (!keeper_.settled_gone() && !stopped_ && !deadline.expired(steady_now())) {
    settled_.expires_at(deadline.when());
    co_await settled_.async_wait(kTok);
  }
  co_return keeper_.settled_gone();
}

LeaseReply RegistryLink::judge(const Result<HttpReply>& reply) const {
  if (!reply || reply->status >= 500) return LeaseReply::failed;
  if (reply->status / 100 == 2) return LeaseReply::accepted;
  if (reply->status == 404) return LeaseReply::unknown;
  return reply->status == 409 && generation_ ? LeaseReply::taken : LeaseReply::refused;
}

asio::awaitable<void> RegistryLink::run() {
  while (!stopped_) {
    const LeaseCall call = keeper_.next(steady_now());
    if (call != LeaseCall::none) {
      co_await carry_out(call);
      continue;
    }
    wake_.expires_at(keeper_.wake_at());
    co_await wake_.async_wait(kTok);
  }
}

HttpCall RegistryLink::call_for(LeaseCall call) const {
  HttpCall out;
  out.method = call == LeaseCall::withdraw ? "DELETE" : "POST";
  out.url = *registry_;
  out.url.path += "/services";
  if (call != LeaseCall::enroll) out.url.path += "/" + percent_encode(name_);
  if (call == LeaseCall::heartbeat) out.url.path += "/heartbeat";
  out.max_body_bytes = kMaxAnswerBytes;
  if (!token_.empty()) out.fields.emplace_back("Authorization", "Bearer " + token_);
  if (call != LeaseCall::withdraw) {
    out.fields.emplace_back("Content-Type", "application/json");
    out.body = call == LeaseCall::enroll ? bodies_.registration() : bodies_.heartbeat();
    if (generation_) out.body = with_generation(std::move(out.body), *generation_);
  } else if (generation_) {
    out.url.query = "generation=" + std::to_string(*generation_);
  }
  return out;
}

asio::awaitable<void> RegistryLink::carry_out(LeaseCall call) {
  HttpCall request = call_for(call);
  const auto reply = co_await client_.call(std::move(request), Deadline::after(steady_now(), kAnswerTimeout));
  if (stopped_) co_return;
  take(call, reply, steady_now());
  if (keeper_.settled_gone()) settled_.cancel();
}

void RegistryLink::take(LeaseCall call, const Result<HttpReply>& reply, TimePoint now) {
  const LeaseReply verdict = judge(reply);
  const bool was_enrolled = keeper_.enrolled();
  const bool was_taken = keeper_.taken();
  if (verdict == LeaseReply::accepted && call != LeaseCall::withdraw) {
    if (const auto given = generation_in(reply->body)) generation_ = given;
  }
  keeper_.replied(now, call, verdict, random_());
  switch (verdict) {
    case LeaseReply::accepted: note_success(call, was_enrolled, now); break;
    case LeaseReply::failed: note_failure(call, reason_of(reply), now); break;
    case LeaseReply::refused: note_refusal(call, reason_of(reply), now); break;
    case LeaseReply::taken:
      note_answer(call, now);
      if (keeper_.taken() && !was_taken) {
        log_.warn("somebody else has registered the name since; it is left to them",
                  {{"name", name_}, {"reason", reason_of(reply)}});
      }
      break;
    case LeaseReply::unknown:
      if (call == LeaseCall::enroll) {
        note_refusal(call, reason_of(reply), now);
      } else {
        note_success(call, was_enrolled, now);
      }
      if (call == LeaseCall::heartbeat && !was_taken) {
        log_.info("the registry has lost the service; it is registered again", {{"name", name_}});
      }
      break;
  }
}

void RegistryLink::note_answer(LeaseCall call, TimePoint now) {
  if (failing_since_) {
    log_.info("the registry answers again",
              {{"name", name_}, {"down_seconds", to_seconds(now - *failing_since_)}, {"call", word_of(call)}});
    failing_since_.reset();
  }
}

void RegistryLink::note_success(LeaseCall call, bool was_enrolled, TimePoint now) {
  note_answer(call, now);
  if (call == LeaseCall::enroll && !was_enrolled) {
    log_.info("registered", {{"name", name_}, {"registry", registry_->to_string()}});
  } else if (call == LeaseCall::withdraw) {
    log_.info("unregistered", {{"name", name_}});
  } else {
    log_.debug("told the registry", {{"name", name_}, {"call", word_of(call)}});
  }
}

void RegistryLink::note_failure(LeaseCall call, const std::string& reason, TimePoint now) {
  const LogLevel level = failing_since_ ? LogLevel::debug : LogLevel::warn;
  const Duration wait = keeper_.wake_at() == TimePoint::max() ? Duration::zero() : keeper_.wake_at() - now;
  log_.log(level, "the registry cannot be used; it is tried until it can, and the engine serves on",
           {{"name", name_},
            {"call", word_of(call)},
            {"reason", reason},
            {"registry", registry_->to_string()},
            {"next_try_seconds", to_seconds(wait)}});
  if (!failing_since_) failing_since_ = now;
}

void RegistryLink::note_refusal(LeaseCall call, const std::string& reason, TimePoint now) {
  if (!failing_since_) failing_since_ = now;
  if (const auto pass = limit_.check(now)) {
    log_.error("the registry refuses a call; it is tried again", {{"name", name_},
                                                                  {"call", word_of(call)},
                                                                  {"reason", reason},
                                                                  {"registry", registry_->to_string()},
                                                                  {"lines_held_back", pass->suppressed}});
  }
}

}  // namespace svc::agent
