export { AddTask } from './AddTask'
export { Queue } from './Queue'
export { TaskActions } from './TaskActions'
export { TaskBrief } from './TaskBrief'
