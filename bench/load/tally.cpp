#include "bench/load/tally.hpp"

namespace svc::load {

std::string_view to_string(Failure failure) {
  switch (failure) {
    case Failure::connect: return "connect";
    case Failure::reset: return "reset";
    case Failure::closed: return "closed";
    case Failure::truncated: return "truncated";
    case Failure::timeout: return "timeout";
    case Failure::status: return "status";
    case Failure::malformed: return "malformed";
    case Failure::error_event: return "error_event";
    case Failure::no_done: return "no_done";
  }
  return "?";
}

}  // namespace svc::load
