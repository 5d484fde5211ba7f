export { ApprovalInbox, CustomerApprovals, OneApproval } from './Approvals'
export { ApprovalToasts } from './ApprovalToasts'
