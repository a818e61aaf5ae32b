// Buffers for large answers, used again: a list of ten thousand services is megabytes, and taking fresh pages from the
// kernel for each one costs more than writing it. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace svc::registry {

class TextPool {
 public:
  TextPool() : shared_(std::make_shared<Shared>()) {}

  /// An empty string, with the room of an earlier answer if there is one.
  std::string take();
  /// The buffer comes back when the last user of the text has let go, which may be after the pool has gone.
  std::shared_ptr<const std::string> share(std::string text);

  /// Bytes of shared texts that somebody still reads.
  std::size_t outstanding() const { return shared_->outstanding; }

 private:
  struct Shared {
    std::vector<std::string> spare;
    std::size_t outstanding = 0;
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace svc::registry
