#include "ctl/io/names.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

#include "common/core/ip_address.hpp"
#include "common/io/resolver.hpp"

namespace svc::ctl {
namespace {

asio::awaitable<void> look_up(Resolver& resolver, std::string host, Deadline deadline, std::set<std::string>& missing) {
  const auto addresses = co_await resolver.resolve(host, deadline);
  if (addresses) missing.erase(host);
}

void rethrow_from_names(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

std::set<std::string> names_without_address(const std::set<std::string>& hosts, Duration timeout) {
  asio::io_context io(1);
  ResolverSettings settings;
  settings.max_pending = hosts.size();
  Resolver resolver(io.get_executor(), settings);
  std::set<std::string> missing;
  for (const std::string& host : hosts) {
    if (!IpAddress::parse(host)) missing.insert(host);
  }
  const std::set<std::string> names = missing;
  const Deadline deadline = Deadline::after(steady_now(), timeout);
  for (const std::string& name : names)
    asio::co_spawn(io, look_up(resolver, name, deadline, missing), rethrow_from_names);
  io.run();
  return missing;
}

}  // namespace svc::ctl
