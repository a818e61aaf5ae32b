#include "common/io/resolver.hpp"

#include <utility>

namespace svc {

Resolver::Resolver(asio::any_io_executor executor, ResolverSettings settings, LookUp look_up)
    : executor_(executor),
      settings_(settings),
      resolver_(executor),
      look_up_(look_up ? std::move(look_up) : of_the_system()) {}

Resolver::~Resolver() = default;

Resolver::LookUp Resolver::of_the_system() {
  return [this](const std::string& host, std::function<void(const error_code&, Addresses)> done) {
    resolver_.async_resolve(host, "", [done = std::move(done)](const error_code& ec, const auto& results) {
      Addresses addresses;
      for (const auto& result : results) {
        addresses.push_back(result.endpoint().address());
      }
      done(ec, std::move(addresses));
    });
  };
}

asio::awaitable<Result<Resolver::Addresses>> Resolver::resolve(std::string host, Deadline deadline) {
  error_code ec;
  const auto numeric = asio::ip::make_address(host, ec);
  if (!ec) {
    co_return Addresses{numeric};
  }
  const TimePoint asked = steady_now();
  const auto found = entries_.find(host);
  auto entry = found == entries_.end() ? nullptr : found->second;
  if (!entry || (!entry->pending && entry->expires <= asked)) {
    if (*pending_ < settings_.max_pending) {
      if (!entry) {
        entry = entries_.emplace(host, std::make_shared<Entry>()).first->second;
      }
      look_up(host, entry);
      make_room(asked);
    } else if (!entry || !stands_in(*entry, asked)) {
      co_return unavailable("the name '" + host + "' cannot be looked up: too many other names wait to be");
    }
  }
  if (entry->pending && !stands_in(*entry, asked)) {
    Timer wait(executor_, deadline.when());
    const auto place = entry->waiters.insert(entry->waiters.end(), &wait);
    co_await wait.async_wait(kTok);
    entry->waiters.erase(place);
    if (entry->pending) {
      co_return timed_out("looking up the name '" + host + "' took too long");
    }
  }
  if ((entry->pending || !entry->answer) && stands_in(*entry, steady_now())) {
    co_return entry->good;
  }
  co_return entry->answer;
}

bool Resolver::stands_in(const Entry& entry, TimePoint now) const {
  return !entry.good.empty() && now - entry.good_since < settings_.keep_stale;
}

void Resolver::look_up(const std::string& host, const std::shared_ptr<Entry>& entry) {
  entry->pending = true;
  ++*pending_;
  look_up_(host, [entry, host, settings = settings_, pending = pending_](const error_code& ec, Addresses addresses) {
    const TimePoint now = steady_now();
    const bool failed = ec || addresses.empty();
    if (failed) {
      Error error = unavailable("the name '" + host + "' cannot be resolved", ec.message());
      // Anything else than "there is no such name" is a fault of the name service, and may pass.
      error.retryable = ec && ec != asio::error::host_not_found && ec != asio::error::no_data;
      entry->answer = std::move(error);
    } else {
      entry->good = addresses;
      entry->good_since = now;
      entry->answer = std::move(addresses);
    }
    entry->expires = now + (failed ? settings.keep_failure : settings.keep);
    entry->pending = false;
    --*pending;
    for (Timer* waiter : entry->waiters) {
      waiter->cancel();
    }
  });
}

void Resolver::make_room(TimePoint now) {
  if (entries_.size() <= settings_.max_names) {
    return;
  }
  std::erase_if(entries_, [this, now](const auto& item) {
    const Entry& entry = *item.second;
    return !entry.pending && entry.expires <= now && !stands_in(entry, now);
  });
  if (entries_.size() > settings_.max_names) {
    std::erase_if(entries_, [](const auto& item) { return !item.second->pending; });
  }
}

}  // namespace svc
