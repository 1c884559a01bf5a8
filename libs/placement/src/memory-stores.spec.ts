import { MemoryPlanStore } from './testing/memory-plan-store.js';
import { MemoryPlannerTurn } from './testing/memory-planner-turn.js';
import { plannerTurnConformance, planStoreConformance } from './testing/placement-stores-conformance.js';

planStoreConformance('MemoryPlanStore', () => new MemoryPlanStore());
plannerTurnConformance('MemoryPlannerTurn', () => new MemoryPlannerTurn());
