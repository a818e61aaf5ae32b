// Memory for tables that are read at random places: in pages of 2 MiB, where the system gives them, so that a look-up does
// not also miss the processor's cache of page addresses.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace svc::router {

/// An allocator of the standard library's kind. What is smaller than a few pages comes from the heap as usual.
template <class T>
struct HugePages {
  using value_type = T;
  static constexpr std::size_t kPage = std::size_t{2} << 20U;
  static constexpr std::size_t kLeastBytes = 2 * kPage;

  HugePages() = default;
  template <class Other>
  HugePages(const HugePages<Other>&) {}  // NOLINT(google-explicit-constructor): allocators convert

  T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / 2 / sizeof(T)) throw std::bad_array_new_length();
    const std::size_t bytes = count * sizeof(T);
    const bool huge = bytes >= kLeastBytes;
    const std::size_t align = huge ? kPage : alignof(T);
    void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align);
    if (memory == nullptr) throw std::bad_alloc();
    if (huge) ::madvise(memory, bytes / kPage * kPage, MADV_HUGEPAGE);  // a wish: without it all works too
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { std::free(memory); }

  friend bool operator==(const HugePages&, const HugePages&) { return true; }
};

}  // namespace svc::router
