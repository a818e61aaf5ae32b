// Whether a write-ahead log has lost what was acknowledged.
//
// SQLite takes such a log up to the first frame that does not fit and says nothing about the rest: it has to, because a
// crash tears the last write. Damage further up looks the same to it, and would be services that vanish in silence.
#pragma once

#include <string>
#include <string_view>

namespace svc::registry {

/// `log` is the whole file, in SQLite's format. "" when all that may be missing is a last write that was never
/// acknowledged, else what is wrong.
std::string damage_of_log(std::string_view log);

/// Reads the log at `path` (none is fine) and throws DamagedStore. Only for who holds the database's lock.
void check_log(const std::string& path);

}  // namespace svc::registry
