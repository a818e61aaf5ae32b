// GET /services: the list, and the long poll on top of it.
#include <boost/asio/post.hpp>

#include "registry/io/http_api.hpp"

namespace svc::registry {
namespace {

/// Clients that do not read hold their lists in memory until the write time-out.
constexpr std::size_t kMaxListBytes = std::size_t{256} * 1024 * 1024;
constexpr std::size_t kMaxSharedTexts = 256;  // different questions about one revision

/// Up to 1/16 shorter, at random: watchers that began together must not come back together (Consul adds as much).
Duration jittered(Duration wait, std::uint64_t random) {
  constexpr std::uint64_t kSteps = 1024;
  return wait - wait / 16 * static_cast<std::int64_t>(random % kSteps) / static_cast<std::int64_t>(kSteps);
}

Error too_many_slow_readers() {
  return unavailable("Too many clients are slow to read their lists; try again in a moment");
}

}  // namespace

HttpApi::Answer HttpApi::get_services(const HttpRequest& request) {
  observe();
  const auto list = parse_list_request(request.query);
  if (!list) {
    co_return refusal(list.error());
  }
  if (lists_.outstanding() > kMaxListBytes) {
    co_return refusal(too_many_slow_readers());
  }
  const auto& watch = list->watch;
  if (watch.wait == Duration::zero() && !watch.changes_only) {
    HttpResponse response;
    response.shared_body = lists_.share(list_json(context(), list->filter, false, lists_.take()));
    co_return stamped(std::move(response));
  }
  const Revision present = parts_.state.revision();
  const Revision since = watch.since.value_or(present);
  const bool known_since = since <= present && (!watch.epoch || *watch.epoch == boot_.epoch);
  if (known_since && since == present && watch.wait > Duration::zero()) {
    co_await wait_for_change(request, since, jittered(watch.wait, parts_.random()));
  }
  co_return watch_answer(*list, since, known_since);
}

asio::awaitable<void> HttpApi::wait_for_change(const HttpRequest& request, Revision since, Duration limit) {
  const TimePoint until = steady_now() + limit;
  while (parts_.state.revision() == since && !draining_ && !request.wait->abandoned()) {
    const TimePoint now = steady_now();
    if (now >= until) {
      break;
    }
    co_await parts_.watchers.wait(until - now, *request.wait);
  }
}

HttpResponse HttpApi::watch_answer(const ListRequest& list, Revision since, bool known_since) {
  const auto events = known_since ? parts_.state.events().after(since) : std::nullopt;
  const bool changes = list.watch.changes_only && events.has_value();
  const bool resync = !known_since || (list.watch.changes_only && !events);
  const std::string key =
      changes ? "changes " + std::to_string(since) : (resync ? "resync " : "list ") + list.filter_key;
  if (shared_revision_ != parts_.state.revision() || shared_.size() > kMaxSharedTexts) {
    shared_.clear();
    shared_revision_ = parts_.state.revision();
  }
  auto& slot = shared_[key];
  auto text = slot.lock();
  if (!text) {
    if (lists_.outstanding() > kMaxListBytes) return refusal(too_many_slow_readers());  // while it waited, others came
    text = lists_.share(changes ? changes_json(context(), *events)
                                : list_json(context(), list.filter, resync, lists_.take()));
    slot = text;
    // Watchers that were woken with this one are already queued: the text lives until they had their turn.
    asio::post(parts_.executor, [text] {});
  }
  HttpResponse response;
  response.shared_body = std::move(text);
  return stamped(std::move(response));
}

}  // namespace svc::registry
