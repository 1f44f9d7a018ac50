#pragma once
// Synchronisation: Go's package sync for goroutines and plain threads alike. Each class has its own header.

#include "runnel/sync/atomic_value.h"
#include "runnel/sync/cond.h"
#include "runnel/sync/errgroup.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/once.h"
#include "runnel/sync/pool.h"
#include "runnel/sync/semaphore.h"
#include "runnel/sync/shared_mutex.h"
#include "runnel/sync/singleflight.h"
#include "runnel/sync/sync_map.h"
#include "runnel/sync/wait_group.h"
