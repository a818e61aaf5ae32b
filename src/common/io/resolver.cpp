#include "common/io/resolver.hpp"

namespace svc {

Resolver::Resolver(asio::any_io_executor executor, ResolverSettings settings)
    : executor_(executor), settings_(settings), resolver_(executor) {}

Resolver::~Resolver() = default;

asio::awaitable<Result<Resolver::Addresses>> Resolver::resolve(std::string host, Deadline deadline) {
  error_code ec;
  const auto numeric = asio::ip::make_address(host, ec);
  if (!ec) {
    co_return Addresses{numeric};
  }
  auto& slot = entries_[host];
  if (!slot || (!slot->pending && slot->expires <= steady_now())) {
    slot = std::make_shared<Entry>();
    look_up(host, slot);
  }
  const auto entry = slot;
  make_room(steady_now());
  if (entry->pending) {
    Timer wait(executor_, deadline.when());
    const auto place = entry->waiters.insert(entry->waiters.end(), &wait);
    co_await wait.async_wait(kTok);
    entry->waiters.erase(place);
    if (entry->pending) {
      co_return timed_out("looking up the name '" + host + "' took too long");
    }
  }
  co_return entry->answer;
}

void Resolver::look_up(const std::string& host, std::shared_ptr<Entry> entry) {
  entry->pending = true;
  resolver_.async_resolve(host, "", [entry, host, settings = settings_](const error_code& ec, const auto& results) {
    Addresses addresses;
    for (const auto& result : results) {
      addresses.push_back(result.endpoint().address());
    }
    const bool failed = ec || addresses.empty();
    if (failed) {
      entry->answer = unavailable("the name '" + host + "' cannot be resolved", ec.message());
    } else {
      entry->answer = std::move(addresses);
    }
    entry->expires = steady_now() + (failed ? settings.keep_failure : settings.keep);
    entry->pending = false;
    for (Timer* waiter : entry->waiters) {
      waiter->cancel();
    }
  });
}

void Resolver::make_room(TimePoint now) {
  if (entries_.size() <= settings_.max_names) {
    return;
  }
  std::erase_if(entries_, [now](const auto& item) { return !item.second->pending && item.second->expires <= now; });
  if (entries_.size() > settings_.max_names) {
    std::erase_if(entries_, [](const auto& item) { return !item.second->pending; });
  }
}

}  // namespace svc
