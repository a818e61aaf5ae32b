#include "registry/io/text_pool.hpp"

#include <utility>

namespace svc::registry {
namespace {

constexpr std::size_t kMaxSpare = 2;           // more are only in use together when many slow clients read lists
constexpr std::size_t kWorthKeeping = 65'536;  // bytes; below that malloc does the same

}  // namespace

std::string TextPool::take() {
  std::string text;
  if (!spare_->empty()) {
    text = std::move(spare_->back());
    spare_->pop_back();
    text.clear();
  }
  return text;
}

std::shared_ptr<const std::string> TextPool::share(std::string text) {
  const auto give_back = [spare = std::weak_ptr(spare_)](std::string* used) {
    const std::unique_ptr<std::string> owned(used);
    const auto pool = spare.lock();
    // A fleet that has shrunk must not hold on to the room of the large one.
    if (pool && pool->size() < kMaxSpare && used->capacity() >= kWorthKeeping && used->size() >= used->capacity() / 4) {
      pool->push_back(std::move(*used));
    }
  };
  return {new std::string(std::move(text)), give_back};
}

}  // namespace svc::registry
