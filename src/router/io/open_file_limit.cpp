#include "router/io/open_file_limit.hpp"

#include "common/io/log.hpp"
#include "common/io/rlimit.hpp"
#include "router/core/connection_budget.hpp"

namespace svc::router {

RouterSettings within_the_open_file_limit(RouterSettings settings) {
  const auto open_files = raise_open_file_limit();
  if (!open_files) {
    return settings;
  }
  const std::size_t clients = client_connections(settings.max_connections, *open_files);
  if (clients < settings.max_connections) {
    static const Logger log("router");
    const bool asked_for = settings.max_connections != RouterSettings{}.max_connections;
    log.log(asked_for ? LogLevel::warn : LogLevel::info, "the limit of open files bounds the client connections",
            {{"open_files", *open_files}, {"max_connections", clients}});
    settings.max_connections = clients;
  }
  return settings;
}

}  // namespace svc::router
