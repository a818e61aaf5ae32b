// Reads what the data path needs from files: API keys, certificates, the token for the instances.
#pragma once

#include <memory>

#include "common/core/result.hpp"
#include "router/io/data_plane.hpp"

namespace svc::router {

/// Blocks while it reads. `previous` (may be null): running limits of its API keys go on. Errors name the file.
Result<std::shared_ptr<const DataSettings>> load_secrets(const RouterSettings& settings, const DataSettings* previous);

}  // namespace svc::router
