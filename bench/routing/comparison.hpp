// Runs beside each other, for people.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/routing/matrix.hpp"

namespace svc::routing {

/// A line for each run, and one for what was recorded, if that is known. Seconds, shares in percent.
[[nodiscard]] std::string comparison(const std::vector<Cell>& cells, const std::optional<Summary>& recorded);

}  // namespace svc::routing
